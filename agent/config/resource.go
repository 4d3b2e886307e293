package config

import (
	"cmp"
	"unicode/utf8"
)

// resource reads what identifies the source of the metrics.
func (l *loader) resource(p *Push, service, attributes variable) {
	p.Attributes = map[string]string{}
	list, faults := entries(attributes.text, func(key string) bool { return key != "" }, false)
	for _, e := range list {
		value, fault := e.value()
		switch {
		case fault != nil:
			faults = append(faults, *fault)
		case !utf8.ValidString(e.key + value):
			faults = append(faults, Problem{What: "is not UTF-8, so no backend would accept the metrics", Remedy: "write it in UTF-8; %C3%A9 is é"})
		default:
			p.Attributes[e.key] = value
		}
	}
	for _, fault := range faults {
		l.problem(attributes, fault.What, fault.Remedy)
	}
	take := func(key string) string {
		defer delete(p.Attributes, key)
		return p.Attributes[key]
	}
	p.ServiceNamespace = take("service.namespace")
	p.InstanceID = take("service.instance.id")
	p.ServiceName = cmp.Or(service.text, take("service.name"), "netatmo-agent")
	if !utf8.ValidString(service.text) {
		l.problem(service, "is not UTF-8, so no backend would accept the metrics", "write it in UTF-8")
	}
}
