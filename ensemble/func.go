package ensemble

import "context"

// Func is the shape that every pattern wraps and exposes: any model, any other pattern's Do.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)
