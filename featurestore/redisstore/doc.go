// Package redisstore keeps features in Redis.
package redisstore
