package featurestore

import (
	"time"
)

// Entity is what features are about: a user, a driver, a pair of a user and an item. Its join keys identify one of them.
type Entity struct {
	Name        string    `json:"name"`
	JoinKeys    []JoinKey `json:"join_keys"` // at least one, of different names; their order is that of the parts of a [Key]
	Description string    `json:"description,omitempty"`
}

// JoinKey is one part of an entity's identity.
type JoinKey struct {
	Name string `json:"name"`
	Kind Kind   `json:"type"` // Int64, Int32, String or Bytes
}

// Feature is one column of a view, or one field of a request.
type Feature struct {
	Name        string `json:"name"`
	Kind        Kind   `json:"type"`
	Dim         int    `json:"dim,omitempty"`    // of a Vector: the number of its elements, from 1 to MaxDim
	Default     Value  `json:"default,omitzero"` // of the same kind; takes the place of a value that is missing, expired or cannot be read. Null, the zero Value: there is no default
	Description string `json:"description,omitempty"`
}

// View is a table of features of one entity that are written together: a row of it has one event time.
type View struct {
	Name     string    `json:"name"`
	Entity   string    `json:"entity,omitempty"` // its name; "" for a view with a single row that belongs to no entity
	Features []Feature `json:"features"`

	// TTL is how long a row counts after its event time. A read gives it the status Expired when its age is TTL or more. 0: for ever.
	TTL Duration `json:"ttl,omitzero"`

	Description string `json:"description,omitempty"`
	Owner       string `json:"owner,omitempty"`
}

// Service is what one version of a model reads: the columns of its input, in their order.
type Service struct {
	Name    string `json:"name"`
	Version int    `json:"version"` // from 1

	// Features are the columns: "view:feature", or "view:*" for all features that a view has when the service is defined, in its order, or
	// the name of an output of a transform.
	Features []string `json:"features"`

	// Request are the fields that come with a request and not from a store. Transforms take them as "request:field".
	Request []Feature `json:"request,omitempty"`

	// Transforms are computed in this order on each read, from features, fields of the request and outputs of earlier ones.
	Transforms []Transform `json:"transforms,omitempty"`

	Description string `json:"description,omitempty"`
	Owner       string `json:"owner,omitempty"`
}

// Definitions are what a [Registry] holds, as it is saved.
type Definitions struct {
	Project  string    `json:"project"`
	Entities []Entity  `json:"entities,omitempty"`
	Views    []View    `json:"views,omitempty"`
	Services []Service `json:"services,omitempty"`
}

// Duration is a time.Duration that is written in JSON as time.ParseDuration reads it: "24h0m0s".
type Duration time.Duration

// Bounds of definitions.
const (
	MaxName     = 255     // bytes of a name
	MaxDim      = 1 << 16 // elements of a Vector
	MaxFeatures = 1 << 16 // features of a view, columns of a service
)

// String is the duration as time.Duration writes it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration can.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}
