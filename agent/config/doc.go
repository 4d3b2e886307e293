// Package config reads the settings of netatmo-agent: NETATMO_* and OTEL_*
// variables, command-line flags over them, and the variables of
// netatmo-exporter where ours are unset.
//
// People meet this package twice: at the first start, when half of the
// settings are missing, and at night, when a copied line does not work. So the
// report has every problem at once, each with its variable, its fault and the
// remedy; what other OTLP programs silently drop, cut or send in
// clear is either made to work or refused; and a secret is a type that cannot
// be printed by accident.
package config
