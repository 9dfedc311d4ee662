package signal

import (
	"context"
	"encoding/json"
	"time"

	"amphi/server/protocol"
	"amphi/server/room"
)

type handler func(ctx context.Context, peer *room.Peer, params json.RawMessage) (result any, err error)

// handlers has one entry for every method of §3.5 that this server knows. leave
// is not among them: it ends the socket.
var handlers = map[string]handler{
	protocol.MethodPing: func(context.Context, *room.Peer, json.RawMessage) (any, error) {
		return protocol.Ping{Timestamp: time.Now().UnixMilli()}, nil
	},
	protocol.MethodJoin:        query((*room.Peer).Join),
	protocol.MethodOffer:       query((*room.Peer).Offer),
	protocol.MethodAnswer:      command(withoutContext((*room.Peer).Answer)),
	protocol.MethodTrickle:     command(withoutContext((*room.Peer).Trickle)),
	protocol.MethodTrackUpdate: command((*room.Peer).TrackUpdate),
	protocol.MethodAnalytics:   command((*room.Peer).Report),

	protocol.MethodBroadcast:   query((*room.Peer).Broadcast),
	protocol.MethodPeerUpdate:  command((*room.Peer).Update),
	protocol.MethodGetPeer:     query((*room.Peer).Lookup),
	protocol.MethodFindPeers:   query((*room.Peer).FindPeers),
	protocol.MethodNextPeers:   query((*room.Peer).NextPeers),
	protocol.MethodSearchNames: query((*room.Peer).SearchNames),
	protocol.MethodGroupJoin:   query((*room.Peer).JoinGroup),
	protocol.MethodGroupLeave:  query((*room.Peer).LeaveGroup),
	protocol.MethodGroupAdd:    query((*room.Peer).JoinGroup),
	protocol.MethodGroupRemove: query((*room.Peer).LeaveGroup),

	protocol.MethodRoleChangeRequest:  command((*room.Peer).RequestRoleChange),
	protocol.MethodRoleChange:         command((*room.Peer).AcceptRole),
	protocol.MethodPeerLeaveRequest:   command((*room.Peer).RequestLeave),
	protocol.MethodEndRoom:            command((*room.Peer).EndRoom),
	protocol.MethodTrackUpdateRequest: command((*room.Peer).RequestMute),
	protocol.MethodChangeTrackMute:    command((*room.Peer).RequestMuteAll),

	protocol.MethodSetMetadata:    query((*room.Peer).SetMetadata),
	protocol.MethodGetMetadata:    query((*room.Peer).GetMetadata),
	protocol.MethodListenMetadata: command((*room.Peer).ListenMetadata),

	protocol.MethodPollSet:          query((*room.Peer).SetPoll),
	protocol.MethodPollGet:          query((*room.Peer).Poll),
	protocol.MethodPollQuestionsSet: query((*room.Peer).SetPollQuestions),
	protocol.MethodPollQuestionsGet: query((*room.Peer).PollQuestions),
	protocol.MethodPollStart:        query((*room.Peer).StartPoll),
	protocol.MethodPollStop:         query((*room.Peer).StopPoll),
	protocol.MethodPollVote:         query((*room.Peer).Vote),
	protocol.MethodPollResponses:    query((*room.Peer).PollResponses),
	protocol.MethodPollResult:       query((*room.Peer).PollResult),
	protocol.MethodPollList:         query((*room.Peer).PollList),
	protocol.MethodPollLeaderboard:  query((*room.Peer).PollLeaderboard),

	protocol.MethodHLSStart:    command((*room.Peer).StartHLS),
	protocol.MethodHLSStop:     command((*room.Peer).StopHLS),
	protocol.MethodHLSMetadata: command((*room.Peer).SendMetadata),

	protocol.MethodRTMPStart: command((*room.Peer).StartRTMP),
	protocol.MethodRTMPStop:  command((*room.Peer).StopRTMP),

	protocol.MethodWhiteboardCreate: query((*room.Peer).CreateWhiteboard),
	protocol.MethodWhiteboardGet:    query((*room.Peer).Whiteboard),

	protocol.MethodTranscriptionStart: notEnabled("transcription"),
	protocol.MethodTranscriptionStop:  notEnabled("transcription"),
	protocol.MethodTranscriptionSet:   notEnabled("transcription"),
}

// notEnabled answers methods of parts that this server does not have.
func notEnabled(what string) handler {
	err := protocol.Errorf(protocol.CodeForbidden, "%s is not enabled on this server", what)
	return func(context.Context, *room.Peer, json.RawMessage) (any, error) { return nil, err }
}

// dispatch runs the handler of a frame's method.
func dispatch(ctx context.Context, peer *room.Peer, frame protocol.Frame) (any, error) {
	h, ok := handlers[frame.Method]
	if !ok {
		return nil, protocol.Errorf(protocol.CodeUnknown, "unknown method %q", frame.Method)
	}
	return h(ctx, peer, frame.Params)
}

// query adapts a method of a peer that returns a result.
func query[P, R any](fn func(*room.Peer, context.Context, P) (R, error)) handler {
	return func(ctx context.Context, peer *room.Peer, raw json.RawMessage) (any, error) {
		params, err := parse[P](raw)
		if err != nil {
			return nil, err
		}
		return fn(peer, ctx, params)
	}
}

// command adapts a method of a peer whose result is empty.
func command[P any](fn func(*room.Peer, context.Context, P) error) handler {
	return func(ctx context.Context, peer *room.Peer, raw json.RawMessage) (any, error) {
		params, err := parse[P](raw)
		if err != nil {
			return nil, err
		}
		return nil, fn(peer, ctx, params)
	}
}

func withoutContext[P any](fn func(*room.Peer, P) error) func(*room.Peer, context.Context, P) error {
	return func(peer *room.Peer, _ context.Context, params P) error { return fn(peer, params) }
}

// parse reads params; absent ones are empty. Fields that the type does not have
// are ignored: clients send more than the contract names (trap 36).
func parse[P any](raw json.RawMessage) (params P, err error) {
	if len(raw) == 0 {
		return params, nil
	}
	if err := json.Unmarshal(raw, &params); err != nil {
		return params, protocol.Errorf(protocol.CodeBadRequest, "params: %v", err)
	}
	return params, nil
}
