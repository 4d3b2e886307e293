// Package telemetry decides what is pushed when: gauges over the newest readings,
// history with its own timestamps, and the loop that pushes both.
//
// It collects and exports by itself instead of using the SDK's periodic reader,
// because the agent must know the fate of every push: a module's mark moves only
// when the backend has accepted its points, and history goes out between live
// pushes.
package telemetry
