// Package middleware holds what every HTTP request passes, one concern a file, in this order:
//
//	observe   metrics, trace context, log; the exchange that all others share
//	recover   a panic is INTERNAL, not the end of the connection
//	drain     Connection: close while draining
//	target    the raw request target decides the route; over-long ones are refused
//	origin    Host, Origin and Sec-Fetch-Site, while there is no authentication
//	shed      more requests at once than the limit are OVERLOADED
//	deadline  Request-Timeout becomes the request's deadline
package middleware
