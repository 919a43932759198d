// Package featurestore keeps the features of models: defined once, written as they change, read fast and fresh when a request comes.
package featurestore
