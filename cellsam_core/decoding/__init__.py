"""Raw rounds of imaging to transcripts: register, detect, decode, calibrate. Arrays only."""
