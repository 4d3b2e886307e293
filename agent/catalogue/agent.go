package catalogue

// Names of the agent's metrics about itself.
const (
	AgentInfo            = "netatmo.agent.info"
	AgentAuthorized      = "netatmo.agent.authorized"
	AgentTokenExpiry     = "netatmo.agent.token.expiry"
	AgentTokenRefreshes  = "netatmo.agent.token.refreshes"
	AgentPollSuccess     = "netatmo.agent.poll.success"
	AgentPollDuration    = "netatmo.agent.poll.duration"
	AgentPollTime        = "netatmo.agent.poll.time"
	AgentAPIRequests     = "netatmo.agent.api.requests"
	AgentAPIBudget       = "netatmo.agent.api.budget"
	AgentPushPoints      = "netatmo.agent.push.points"
	AgentPushFailures    = "netatmo.agent.push.failures"
	AgentBackfillPoints  = "netatmo.agent.backfill.points"
	AgentBackfillRefused = "netatmo.agent.backfill.refused"
)

var agent = []Metric{
	{Name: AgentInfo, Attributes: []string{"version"},
		Description: "1 for the running version", From: "build", Note: "1, attribute `version`"},
	{Name: AgentAuthorized,
		Description: "Whether the agent has a login at Netatmo", Note: flag},
	{Name: AgentTokenExpiry, Unit: seconds,
		Description: "Unix time at which the access token expires", Note: "Unix time"},
	{Name: AgentTokenRefreshes, Unit: "{refresh}", Kind: Counter, Attributes: []string{"outcome"},
		Description: "Token refreshes", Note: "attribute `outcome`"},
	{Name: AgentPollSuccess,
		Description: "Whether the last poll succeeded", Note: "0/1, of the last poll"},
	{Name: AgentPollDuration, Unit: seconds,
		Description: "How long the last poll took", Note: "of the last poll"},
	{Name: AgentPollTime, Unit: seconds,
		Description: "Unix time of the last poll", Note: "Unix time of the last poll"},
	{Name: AgentAPIRequests, Unit: "{request}", Kind: Counter, Attributes: []string{"endpoint", "outcome"},
		Description: "Requests to Netatmo", Note: "attributes `endpoint`, `outcome` (`ok` or the error class)"},
	{Name: AgentAPIBudget, Unit: "{request}",
		Description: "Requests to Netatmo left in the hour", Note: "requests left in the hour"},
	{Name: AgentPushPoints, Unit: "{point}", Kind: Counter,
		Description: "Points that the backend accepted, without history"},
	{Name: AgentPushFailures, Unit: "{request}", Kind: Counter, Attributes: []string{"reason"},
		Description: "Requests to the backend that failed", Note: "attribute `reason`"},
	{Name: AgentBackfillPoints, Unit: "{point}", Kind: Counter,
		Description: "Points of history that the backend accepted"},
	{Name: AgentBackfillRefused, Unit: "{point}", Kind: Counter,
		Description: "Points of history that the backend refused permanently"},
}
