// Package authtest is an OAuth 2 server that behaves as Netatmo's does, for
// tests, the simulated cloud and the demo. A real server on the far side finds
// what a mock of our own client cannot: a request sent twice, a token used
// after it died, an answer that was lost after it took effect.
//
// What is simulated, as observed of the real service:
//
//   - /oauth2/authorize asks for consent and returns ?code=…&state=… to the
//     redirect URI, ?error=access_denied when the user refuses, and delivers
//     ?error=redirect_uri_mismatch to a redirect URI that is not registered;
//   - codes are good once, for ten minutes, and only with their redirect URI;
//   - /oauth2/token takes the app's credentials in the body alone; credentials
//     in the header are refused as invalid_client;
//   - tokens are <user id>|<32 hex>, "scope" is an array, the life is named
//     twice ("expires_in" and "expire_in"), there is no "token_type", and every
//     error is a 400 with a string;
//   - one account and one app have one pair: each refresh, each login and each
//     use of the token generator makes a new one and kills both old tokens;
//   - the password grant is refused as unauthorized_client.
//
// Faults on demand are listed at [FaultKind]. Not simulated: quotas of the
// token endpoint and the idle expiry of refresh tokens, of which neither is
// documented.
//
// A [Listener] takes the place of the network.
package authtest
