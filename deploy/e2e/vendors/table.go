package vendors

// Setting is a variable that a user sets.
type Setting struct{ Name, Value string }

// Backend is a row of the table from which the guides in deploy/backends are made,
// and by which the agent is tested.
type Backend struct {
	Name string
	File string // of its guide, without .md

	Settings []Setting // as in the guide, with made-up keys
	Key      string    // the key in them; empty: none
	InFile   []string  // lines of OTEL_EXPORTER_OTLP_HEADERS_FILE, if the key expires

	Expect []string // what to know, a sentence each
	See    string   // where the data appears

	// Server is what the vendor documents. It is nil if the agent cannot push there
	// directly; Collector then names a configuration in deploy/collector.
	Server    *Server
	Collector string
}

// Server is the documented behaviour of a backend, as far as the agent notices.
type Server struct {
	GRPC, HTTP bool
	Path       string            // of metrics over HTTP; /v1/metrics if empty
	Headers    map[string]string // that requests must have, the key among them
	Most       int               // bytes of a request, uncompressed; 0: no limit is documented
	Delta      bool              // refuses cumulative counters
	Resource   []string          // attributes that each request's resource must have
}

const (
	endpoint        = "OTEL_EXPORTER_OTLP_ENDPOINT"
	metricsEndpoint = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
	headers         = "OTEL_EXPORTER_OTLP_HEADERS"
	metricsHeaders  = "OTEL_EXPORTER_OTLP_METRICS_HEADERS"
	protocol        = "OTEL_EXPORTER_OTLP_PROTOCOL"
	temporality     = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
	resource        = "OTEL_RESOURCE_ATTRIBUTES"
	headersFile     = "OTEL_EXPORTER_OTLP_HEADERS_FILE"

	overHTTP = "It accepts OTLP over HTTP only. The endpoint has no path by which the agent could recognise that, so the protocol is set."
)

// Backends is the table.
var Backends = []Backend{
	{
		Name: "Axiom", File: "axiom", Key: "xaat-0123456789abcdef",
		Settings: []Setting{
			{endpoint, "https://api.axiom.co"},
			{headers, "Authorization=Bearer%20xaat-0123456789abcdef,x-axiom-metrics-dataset=netatmo"},
			{protocol, "http/protobuf"},
		},
		Expect: []string{overHTTP, "Create a dataset for OpenTelemetry metrics first; the token needs the permission to ingest into it."},
		See:    "*Query* → the dataset `netatmo`.",
		Server: &Server{HTTP: true, Headers: map[string]string{"authorization": "Bearer xaat-0123456789abcdef", "x-axiom-metrics-dataset": "netatmo"}},
	},
	{
		Name: "Better Stack", File: "better-stack", Key: "sourcetoken0123456789",
		Settings: []Setting{
			{endpoint, "https://s1234567.eu-nbg-2.betterstackdata.com"},
			{headers, "Authorization=Bearer%20sourcetoken0123456789"},
			{protocol, "http/protobuf"},
		},
		Expect: []string{overHTTP, "Host and token are those of your source; each source has its own."},
		See:    "*Telemetry* → *Dashboards*, or *Explore metrics*.",
		Server: &Server{HTTP: true, Headers: map[string]string{"authorization": "Bearer sourcetoken0123456789"}},
	},
	{
		Name: "Coralogix", File: "coralogix", Key: "cxtp_0123456789abcdef",
		Settings: []Setting{
			{endpoint, "https://ingress.eu2.coralogix.com:443"},
			{headers, "Authorization=Bearer%20cxtp_0123456789abcdef"},
			{resource, "cx.application.name=home,cx.subsystem.name=netatmo"},
		},
		Expect: []string{"The host depends on your domain. The two resource attributes are its application and subsystem.", "Counters stay cumulative."},
		See:    "*Explore* → *Metrics*; names are those of Prometheus, such as `netatmo_temperature_celsius`.",
		Server: &Server{GRPC: true, HTTP: true, Headers: map[string]string{"authorization": "Bearer cxtp_0123456789abcdef"}, Most: 2_000_000,
			Resource: []string{"cx.application.name", "cx.subsystem.name"}},
	},
	{
		Name: "Datadog", File: "datadog", Key: "ddapikey0123456789abcdef",
		Settings: []Setting{
			{metricsEndpoint, "https://otlp.datadoghq.eu/v1/metrics"},
			{metricsHeaders, "dd-api-key=ddapikey0123456789abcdef"},
			{temporality, "delta"},
		},
		Expect: []string{
			"The host depends on your site; the wrong site answers 403.",
			"It refuses cumulative counters, so the temporality is `delta`.",
			"It accepts points from about the last hour; longer gaps stay empty.",
		},
		See:    "*Metrics* → *Explorer*, `netatmo.temperature` by `module.name`.",
		Server: &Server{HTTP: true, Headers: map[string]string{"dd-api-key": "ddapikey0123456789abcdef"}, Most: 500_000, Delta: true},
	},
	{
		Name: "Dynatrace", File: "dynatrace", Key: "dt0c01.0123456789ABCDEF",
		Settings: []Setting{
			{endpoint, "https://abc12345.live.dynatrace.com/api/v2/otlp"},
			{headers, "Authorization=Api-Token%20dt0c01.0123456789ABCDEF"},
			{temporality, "delta"},
		},
		Expect: []string{
			"The token needs the scope `metrics.ingest`.",
			"It refuses cumulative counters, so the temporality is `delta`.",
			"It accepts points from about the last hour; longer gaps stay empty.",
		},
		See: "*Data Explorer*, `netatmo.temperature` split by `module.name`.",
		Server: &Server{HTTP: true, Path: "/api/v2/otlp/v1/metrics", Headers: map[string]string{"authorization": "Api-Token dt0c01.0123456789ABCDEF"},
			Most: 4_000_000, Delta: true},
	},
	{
		Name: "Elastic Cloud", File: "elastic", Key: "ZWxhc3RpYzowMTIzNDU2Nzg5",
		Settings: []Setting{
			{endpoint, "https://my-deployment.ingest.eu-west-1.aws.elastic.cloud:443"},
			{headers, "Authorization=ApiKey%20ZWxhc3RpYzowMTIzNDU2Nzg5"},
		},
		Expect: []string{
			"An APM Server takes `Bearer` and its secret token instead.",
			"Its time series indexes accept points from the last 2 hours by default (`look_back_time`); it does not always say that it refused one.",
		},
		See:    "*Discover* → `metrics-*`, or *Dashboards* with Lens.",
		Server: &Server{GRPC: true, HTTP: true, Headers: map[string]string{"authorization": "ApiKey ZWxhc3RpYzowMTIzNDU2Nzg5"}, Most: 4 << 20},
	},
	{
		Name: "Google Cloud Monitoring", File: "google-cloud",
		Settings: []Setting{
			{endpoint, "https://telemetry.googleapis.com"},
			{resource, "gcp.project_id=my-project,location=europe-west1"},
		},
		Key: "ya29.0123456789abcdef", InFile: []string{"Authorization: Bearer ya29.0123456789abcdef", "x-goog-user-project: my-project"},
		Expect: []string{
			"An access token is valid for an hour. Rewrite the file every half hour, for example from cron with `gcloud auth print-access-token`; the agent reloads it when it changes.",
			"Google takes project and location from the resource. It refuses points older than those it has, so gaps may stay empty.",
		},
		See:    "*Monitoring* → *Metrics explorer*, with PromQL: `netatmo_temperature_celsius`.",
		Server: &Server{GRPC: true, HTTP: true, Headers: map[string]string{"authorization": "Bearer ya29.0123456789abcdef", "x-goog-user-project": "my-project"}, Resource: []string{"gcp.project_id", "location"}},
	},
	{
		Name: "Honeycomb", File: "honeycomb", Key: "hcaik_0123456789abcdef",
		Settings: []Setting{
			{endpoint, "https://api.honeycomb.io"},
			{headers, "x-honeycomb-team=hcaik_0123456789abcdef,x-honeycomb-dataset=netatmo"},
		},
		Expect: []string{"In the EU the host is `api.eu1.honeycomb.io`.", "Without the dataset's header, metrics end up in `unknown_metrics`."},
		See:    "the dataset `netatmo` → *New query*, `LAST(netatmo.temperature)` grouped by `module.name`.",
		Server: &Server{GRPC: true, HTTP: true, Headers: map[string]string{"x-honeycomb-team": "hcaik_0123456789abcdef", "x-honeycomb-dataset": "netatmo"}},
	},
	{
		Name: "Logfire", File: "logfire", Key: "pylf_v1_eu_0123456789abcdef",
		Settings: []Setting{
			{endpoint, "https://logfire-eu.pydantic.dev"},
			{headers, "Authorization=pylf_v1_eu_0123456789abcdef"},
			{protocol, "http/protobuf"},
		},
		Expect: []string{"The header contains only the write token, without a scheme such as `Bearer`.", "In the US the host is `logfire-us.pydantic.dev`."},
		See:    "*Explore*: `SELECT * FROM metrics WHERE metric_name = 'netatmo.temperature'`.",
		Server: &Server{GRPC: true, HTTP: true, Headers: map[string]string{"authorization": "pylf_v1_eu_0123456789abcdef"}, Most: 100 << 20},
	},
	{
		Name: "Mimir", File: "mimir",
		Settings: []Setting{{endpoint, "http://mimir.example.org:9009/otlp"}, {headers, "X-Scope-OrgID=home"}},
		Expect: []string{
			"Without a tenant, a Mimir with several tenants answers 401 *no org id*.",
			"`out_of_order_time_window` of the tenant's limits decides how old history may be. Some versions refuse older points with a success that says so; the agent counts them in `netatmo.agent.backfill.refused`.",
		},
		See:    "Grafana with the [dashboard](../grafana/netatmo.json).",
		Server: &Server{HTTP: true, Path: "/otlp/v1/metrics", Headers: map[string]string{"x-scope-orgid": "home"}},
	},
	{
		Name: "Netdata", File: "netdata",
		Settings: []Setting{{endpoint, "http://netdata.example.org:4317"}},
		Expect:   []string{"Its OpenTelemetry plugin listens for gRPC on port 4317; it must listen on an address that the agent reaches.", "It creates at most 100 new charts for each request, so a large home appears over some minutes."},
		See:      "the node's dashboard → *otel*.",
		Server:   &Server{GRPC: true},
	},
	{
		Name: "New Relic", File: "new-relic", Key: "eu01xx0123456789abcdefNRAL",
		Settings: []Setting{
			{endpoint, "https://otlp.eu01.nr-data.net:4317"},
			{headers, "api-key=eu01xx0123456789abcdefNRAL"},
			{temporality, "delta"},
		},
		Expect: []string{
			"In the US the host is `otlp.nr-data.net`. The key is a licence key, not a user key.",
			"It validates after it has answered: if data is missing, look at `NrIntegrationError` events.",
		},
		See:    "*Query your data*: `SELECT latest(netatmo.temperature) FROM Metric FACET module.name TIMESERIES`.",
		Server: &Server{GRPC: true, HTTP: true, Headers: map[string]string{"api-key": "eu01xx0123456789abcdefNRAL"}, Most: 1_000_000},
	},
	{
		Name: "OpenObserve", File: "openobserve", Key: "bWVAZXhhbXBsZS5vcmc6cGFzc3dvcmQwMTIzNDU=",
		Settings: []Setting{
			{endpoint, "https://api.openobserve.ai/api/my_org"},
			{headers, "Authorization=Basic%20bWVAZXhhbXBsZS5vcmc6cGFzc3dvcmQwMTIzNDU=,stream-name=default"},
		},
		Expect: []string{"The path ends in the name of your organization. Use the Basic credentials that *Data sources* → *OpenTelemetry* shows."},
		See:    "*Metrics* → `netatmo_temperature`.",
		Server: &Server{HTTP: true, Path: "/api/my_org/v1/metrics", Headers: map[string]string{"authorization": "Basic bWVAZXhhbXBsZS5vcmc6cGFzc3dvcmQwMTIzNDU=", "stream-name": "default"}},
	},
	{
		Name: "SigNoz Cloud", File: "signoz", Key: "signoz-key-0123456789",
		Settings: []Setting{{endpoint, "https://ingest.eu.signoz.cloud:443"}, {headers, "signoz-ingestion-key=signoz-key-0123456789"}},
		Expect:   []string{"A self-hosted SigNoz needs no key: its endpoint is `http://<host>:4317`."},
		See:      "*Dashboards* → *New panel* → `netatmo.temperature`.",
		Server:   &Server{GRPC: true, HTTP: true, Headers: map[string]string{"signoz-ingestion-key": "signoz-key-0123456789"}},
	},
	{
		Name: "Splunk Observability Cloud", File: "splunk", Key: "sfxtoken0123456789",
		Settings: []Setting{{metricsEndpoint, "https://ingest.eu0.signalfx.com/v2/datapoint/otlp"}, {metricsHeaders, "X-SF-Token=sfxtoken0123456789"}},
		Expect:   []string{"The host depends on your realm. The agent warns that it uses the address unchanged; that is correct here."},
		See:      "*Metric Finder* → `netatmo.temperature`.",
		Server:   &Server{HTTP: true, Path: "/v2/datapoint/otlp", Headers: map[string]string{"x-sf-token": "sfxtoken0123456789"}},
	},
	{
		Name: "Sumo Logic", File: "sumo-logic", Key: "ZaVnC4dhaV2b3kLm9QxExample0123456789",
		Settings: []Setting{{endpoint, "https://collectors.eu.sumologic.com/receiver/v1/otlp/ZaVnC4dhaV2b3kLm9QxExample0123456789"}},
		Expect:   []string{"There is no header: the address of your *OTLP/HTTP source* is the secret, so the agent shows its path as `…`.", "Keep it out of unit files that others may read."},
		See:      "*Metrics Explorer*: `metric=netatmo.temperature`.",
		Server:   &Server{HTTP: true, Path: "/receiver/v1/otlp/ZaVnC4dhaV2b3kLm9QxExample0123456789/v1/metrics"},
	},
	{
		Name: "Telegraf and InfluxDB", File: "telegraf",
		Settings: []Setting{{endpoint, "http://telegraf.example.org:4317"}},
		Expect:   []string{"Telegraf's `inputs.opentelemetry` listens on port 4317 for gRPC. Do not set `OTEL_EXPORTER_OTLP_COMPRESSION=gzip` for it, because not every build supports that.", "InfluxDB stores history of any age within its retention."},
		See:      "InfluxDB's *Data Explorer*.",
		Server:   &Server{GRPC: true, Most: 4 << 20},
	},
	{
		Name: "Uptrace", File: "uptrace", Key: "secret0123456789",
		Settings: []Setting{
			{endpoint, "https://api.uptrace.dev:4317"},
			{headers, "uptrace-dsn=https%3A%2F%2Fsecret0123456789%40api.uptrace.dev%3Fgrpc%3D4317"},
			{temporality, "delta"},
		},
		Expect: []string{"Use your project's DSN, with `%3A` for `:`, `%2F` for `/`, `%40` for `@`, `%3F` for `?` and `%3D` for `=`. In a file that `OTEL_EXPORTER_OTLP_HEADERS_FILE` names, write it unchanged."},
		See:    "*Metrics* → *Explore metrics*.",
		Server: &Server{GRPC: true, HTTP: true, Headers: map[string]string{"uptrace-dsn": "https://secret0123456789@api.uptrace.dev?grpc=4317"}},
	},
	{
		Name: "Amazon CloudWatch", File: "cloudwatch", Collector: "cloudwatch.yaml",
		Settings: []Setting{{endpoint, "http://localhost:4317"}},
		Expect: []string{
			"CloudWatch requires requests with SigV4 signatures. The agent does not sign requests, so a Collector does. Set `AWS_REGION` and the usual AWS credentials for the Collector.",
			"Without a queue in the Collector, the agent learns at once what CloudWatch accepted, and fills gaps itself.",
		},
		See: "*CloudWatch* → *Query Studio*, with PromQL.",
	},
	{
		Name: "Azure Monitor", File: "azure-monitor", Collector: "azure-monitor.yaml",
		Settings: []Setting{{endpoint, "http://localhost:4317"}},
		Expect: []string{
			"Azure requires an Entra token. The agent does not fetch one, so a Collector does, with the client ID and secret of an app that may publish to your data collection rule.",
			"`AZURE_METRICS_ENDPOINT` is the address that the data collection rule shows for OTLP metrics.",
		},
		See: "the Azure Monitor workspace → *Metrics explorer*, with PromQL.",
	},
}
