// Package telemetry pushes readings to an OTLP backend. It is the only package
// that knows the OpenTelemetry SDK.
//
// It goes the SDK's push path by hand (collect, export) instead of using a
// periodic reader, because the agent must know the fate of every push: a mark
// moves only when the backend has acknowledged, and history goes out between
// live pushes. The SDK's exporters are kept, with a hardened transport under
// them: as they come, they report success for redirects and for login pages,
// retry behind the agent's back, and read the environment themselves.
package telemetry
