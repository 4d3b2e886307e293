package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func agent() row {
	budget := scale{{0, "red", ""}, {40, "yellow", ""}, {100, "green", ""}}
	return row{"Agent", []cog.Builder[dashboard.Panel]{
		sheet("Agents", 24, []label{{"job", "Job"}, {"instance", "Instance"}, {"version", "Version"}},
			column{expr: ofAgent("netatmo_agent_info", "version")},
			column{name: "Logged in", expr: ofAgent("netatmo_agent_authorized"), words: working.words()},
			column{name: "Access token expires", expr: ofAgent("netatmo_agent_token_expiry_seconds") + " * 1000", unit: fromNow},
			column{name: "Last poll", expr: ofAgent("netatmo_agent_poll_time_seconds") + " * 1000", unit: fromNow},
			column{name: "Succeeded", expr: ofAgent("netatmo_agent_poll_success"), words: working.words()},
			column{name: "Took", expr: ofAgent("netatmo_agent_poll_duration_seconds"), unit: "s"},
			column{name: "Requests left", expr: ofAgent("netatmo_agent_api_budget"), unit: "none", colors: budget},
		).Height(height / 2),
		graph("Requests to Netatmo in an hour", "none", 12,
			query{perHour("netatmo_agent_api_requests_total", "endpoint, outcome"), "{{endpoint}} {{outcome}}"}).
			Decimals(0).Min(0).
			Description("Netatmo allows a user 500 in an hour, for all programs together; by default the agent makes at most 400."),
		limits(graph("Requests left in the hour", "none", 6, query{ofAgent("netatmo_agent_api_budget"), byAgent}), budget).Min(0),
		graph("Duration of a poll", "s", 6, query{ofAgent("netatmo_agent_poll_duration_seconds"), byAgent}).Min(0),
		timeline("Logged in, and the last poll succeeded", 12, working.words(),
			query{ofAgent("netatmo_agent_authorized"), "login " + byAgent},
			query{ofAgent("netatmo_agent_poll_success"), "poll " + byAgent}),
		graph("Token refreshes in an hour", "none", 12,
			query{perHour("netatmo_agent_token_refreshes_total", "outcome"), "{{outcome}}"}).
			Decimals(1).Min(0).
			Description("ok: new tokens arrived; passing: temporary, retried; final: a login is needed; blocked: the token file cannot be written."),
		graph("Points pushed per minute", "none", 8,
			query{"60 * sum by (" + sender + ") (rate(netatmo_agent_push_points_total[$__rate_interval]))", byAgent}).
			Decimals(0).Min(0),
		graph("Push requests that failed, in an hour", "none", 8,
			query{perHour("netatmo_agent_push_failures_total", "reason"), "{{reason}}"}).
			Decimals(0).Min(0).
			Description("Empty until one has failed. If nothing arrives at all, this panel shows nothing either, but an alert rule fires."),
		graph("Points of history in an hour", "none", 8,
			query{perHour("netatmo_agent_backfill_points_total", sender), "taken"},
			query{perHour("netatmo_agent_backfill_refused_total", sender), "refused"}).
			Decimals(0).Min(0).
			Description("Refused points are older than the backend accepts: see out_of_order_time_window in Prometheus."),
	}}
}
