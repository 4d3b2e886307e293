package config

import "unicode/utf8"

// resource reads what identifies the sender of the metrics.
func (l *loader) resource(p *Push, serviceName, attributes string) {
	const variable = "OTEL_RESOURCE_ATTRIBUTES"
	p.Attributes = map[string]string{}
	list, faults := entries(attributes, func(key string) bool { return key != "" }, false)
	for _, e := range list {
		value, fault := e.value()
		switch {
		case fault != nil:
			faults = append(faults, *fault)
		case !utf8.ValidString(e.key + value):
			faults = append(faults, Problem{What: "is not UTF-8, so no backend would take the metrics", Remedy: "write it in UTF-8; %C3%A9 is é"})
		default:
			p.Attributes[e.key] = value
		}
	}
	for _, fault := range faults {
		l.problem(variable, fault.What, fault.Remedy)
	}
	take := func(key string) string {
		defer delete(p.Attributes, key)
		return p.Attributes[key]
	}
	p.ServiceNamespace = take("service.namespace")
	p.InstanceID = take("service.instance.id")
	p.ServiceName = take("service.name")
	if serviceName != "" {
		p.ServiceName = serviceName
	}
	if p.ServiceName == "" {
		p.ServiceName = "netatmo-agent"
	}
	if !utf8.ValidString(serviceName) {
		l.problem("OTEL_SERVICE_NAME", "is not UTF-8, so no backend would take the metrics", "write it in UTF-8")
	}
}
