"""The command line: parse, call one operation, render. No decisions are taken here."""
