package featurestore

import "context"

// Func is the shape that every pattern wraps and exposes: a Reader's Do, a cache's, a model's.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)
