package edge

import (
	"context"

	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"google.golang.org/grpc"
)

// service is EdgeService.
type service struct {
	controlv1.UnimplementedEdgeServiceServer
	edge *Edge
	// open permits listeners beyond loopback.
	open bool
}

func (s *service) register(server *grpc.Server) { controlv1.RegisterEdgeServiceServer(server, s) }

// SetRoutes replaces all routes.
func (s *service) SetRoutes(_ context.Context, request *controlv1.SetRoutesRequest) (*controlv1.SetRoutesResponse, error) {
	if err := check(request.GetRoutes(), s.open); err != nil {
		return nil, err
	}
	bound, err := s.edge.table.set(request.GetRoutes())
	if err != nil {
		return nil, err
	}
	s.edge.log.Info("routes were replaced", "routes", len(bound))
	for _, route := range bound {
		s.edge.log.Debug("route", "name", route.GetName(), "listen", route.GetListen(), "targets", route.GetTargets())
	}
	return &controlv1.SetRoutesResponse{Routes: bound}, nil
}

// ListRoutes says what goes through them.
func (s *service) ListRoutes(context.Context, *controlv1.ListRoutesRequest) (*controlv1.ListRoutesResponse, error) {
	response := &controlv1.ListRoutesResponse{}
	for _, d := range s.edge.table.list() {
		r := d.route.Load()
		stats := &controlv1.RouteStats{Route: &controlv1.Route{Name: r.name, Listen: d.bound, Targets: r.addresses()}}
		for _, t := range r.known() {
			stats.Targets = append(stats.Targets, &controlv1.TargetStats{
				Address: t.address, OpenConnections: uint64(max(0, t.open.Load())), Connections: t.made.Load(),
				FailedConnections: t.failed.Load(),
			})
		}
		response.Routes = append(response.Routes, stats)
	}
	return response, nil
}
