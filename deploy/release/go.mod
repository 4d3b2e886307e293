module netatmo-agent/deploy/release

go 1.26.0
