-- Run once, by an empty PostgreSQL at its first start: a database for each service.
CREATE DATABASE ingest;
CREATE DATABASE extraction;
CREATE DATABASE triage;
CREATE DATABASE review;
CREATE DATABASE escalation;
