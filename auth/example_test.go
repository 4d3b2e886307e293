package auth_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"netatmo-agent/auth"
	"netatmo-agent/auth/authtest"
)

// A process opens the token file, logs in once, and gets an access token
// whenever it needs one. The next process finds the login in the file.
func Example() {
	dir, err := os.MkdirTemp("", "auth")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	netatmo := authtest.New(authtest.Options{ClientID: "the-app", ClientSecret: "its-secret"})
	server := httptest.NewServer(netatmo)
	defer server.Close()

	cfg := auth.Config{
		ClientID: "the-app", ClientSecret: "its-secret",
		APIURL:    server.URL,
		External:  &url.URL{Scheme: "http", Host: "localhost:9210"},
		Scopes:    []string{"read_station"},
		TokenFile: filepath.Join(dir, "token.json"),
	}
	source, err := auth.New(context.Background(), cfg)
	if err != nil {
		panic(err) // the path cannot be used; the error says what to do
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { source.Run(ctx) })

	fmt.Println(source.Status().Problem)
	changed := source.Changed()

	// Here a human logs in, with source.AuthCodeURL and source.Exchange, or
	// with a refresh token from the token generator of dev.netatmo.com.
	if err := source.AdoptRefreshToken(ctx, netatmo.Grant("read_station").Refresh); err != nil {
		panic(err)
	}
	<-changed
	access, err := source.Token(ctx)
	fmt.Println("valid:", netatmo.Check(access).Valid, err)

	source.Reject(access) // the API answered with code 2 or 3
	renewed, err := source.Token(ctx)
	fmt.Println("renewed:", renewed != access, err)

	cancel()
	running.Wait()

	next, err := auth.New(context.Background(), cfg)
	if err != nil {
		panic(err)
	}
	access, err = next.Token(context.Background())
	fmt.Println("after a restart:", access == renewed, err)
	// Output:
	// There is no login yet. Log in to Netatmo once
	// valid: true <nil>
	// renewed: true <nil>
	// after a restart: true <nil>
}
