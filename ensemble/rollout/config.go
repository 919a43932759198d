package rollout

import "fmt"

// Defaults of [RegistryConfig].
const (
	DefaultKeepUnloaded = 16
	DefaultAuditSize    = 256
)

// RegistryConfig bounds what a Registry keeps. The zero value is usable. A negative value is an error from NewRegistry.
type RegistryConfig struct {
	// KeepWarm is how many versions that have lost their last alias Sweep, and so Deploy, leaves loaded for the way back, the latest of them. Those that never had an alias do not count and are not
	// touched. Default: 0.
	KeepWarm int

	// KeepUnloaded is how many versions that are unloaded or have failed the registry still knows, so that they can be loaded again. The oldest
	// are forgotten. Default: DefaultKeepUnloaded.
	KeepUnloaded int

	// AuditSize is how many events the audit log holds. Default: DefaultAuditSize.
	AuditSize int

	// OnEvent, if not nil, is called with each event of the audit log, to persist it, on the goroutine of the call that caused it, when the change has been made. Calls
	// that overlap may deliver their events in another order than Seq. It may call the registry. A panic in it goes to the caller.
	OnEvent func(Event)
}

func (c RegistryConfig) withDefaults() (RegistryConfig, error) {
	for _, f := range []struct {
		name  string
		value int
	}{{"KeepWarm", c.KeepWarm}, {"KeepUnloaded", c.KeepUnloaded}, {"AuditSize", c.AuditSize}} {
		if f.value < 0 {
			return c, fmt.Errorf("rollout: RegistryConfig.%s is negative: %d", f.name, f.value)
		}
	}
	if c.KeepUnloaded == 0 {
		c.KeepUnloaded = DefaultKeepUnloaded
	}
	if c.AuditSize == 0 {
		c.AuditSize = DefaultAuditSize
	}
	return c, nil
}
