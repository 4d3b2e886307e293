// Package authtest is an OAuth 2 server that behaves as Netatmo's does, for
// tests, the simulated cloud and the demo. A real server finds what a mock of the
// client cannot: a request that is sent twice, a token that is used after it was
// replaced, an answer that is lost after the request took effect.
//
// What is simulated, as observed of the real service:
//
//   - /oauth2/authorize asks for consent and returns ?code=…&state=… to the
//     redirect URI, ?error=access_denied when the user refuses, and delivers
//     ?error=redirect_uri_mismatch to a redirect URI that is not registered;
//   - a code works once, for ten minutes, and only with its redirect URI;
//   - /oauth2/token accepts the app's credentials only in the body; credentials
//     in the header are refused as invalid_client;
//   - tokens are <user id>|<32 hex>, "scope" is an array, the life is named
//     twice ("expires_in" and "expire_in"), there is no "token_type", and every
//     error is a 400 with a string;
//   - an account and an app have one pair: each refresh, each login and each use
//     of the token generator makes a new one and invalidates both old tokens;
//   - the password grant is refused as unauthorized_client.
//
// [FaultKind] lists the faults that can be injected. Quotas of the token endpoint
// and the expiry of unused refresh tokens are not simulated, because neither is
// documented.
//
// A [Listener] replaces the network.
package authtest
