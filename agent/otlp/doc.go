// Package otlp makes one OTLP request and reports its result. It knows both
// transports, TLS, headers, proxies and the many ways in which backends accept and
// reject points. Package telemetry decides what to push and when.
//
// It uses the OpenTelemetry SDK's exporters with its own transport below them:
// on their own they report success for redirects and login pages, retry without
// being asked, and read the environment.
package otlp
