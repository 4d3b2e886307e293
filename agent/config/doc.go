// Package config reads the settings of netatmo-agent: NETATMO_* and OTEL_*
// variables, command-line flags over them, and the variables of
// netatmo-exporter where ours are unset.
//
// It reports all problems together, each with the variable, the fault and the
// remedy. Values that other OTLP programs silently drop, truncate or send
// unencrypted either work or are refused. Secrets have a type that cannot be
// printed by accident.
package config
