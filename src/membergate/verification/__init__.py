"""How right is the door: estimates with intervals, the certificate, the report and the gate.

The room is handed one frozen :class:`~membergate.verification.sample.EvaluationSample` and a numpy Generator; it reads
no file, no clock and no model. The way through it:

    sample -> bootstrap (operators resampled once, shared by every figure) -> metrics, ranking, calibration
           -> certificate -> report (one object: JSON and HTML) -> gate

Every figure leaves as a :class:`~membergate.domain.measurement.Measurement`: a number never travels without its
interval, unit and sample size.
"""
