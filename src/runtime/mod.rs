//! The async shell: feeds inputs to the station, carries out its effects, owns tasks and shutdown.
