"""Raw behaviour: what a market folder holds, how it is checked, and the warehouse it is loaded into."""
