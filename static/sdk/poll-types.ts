// Polls and quizzes, as applications see them.

import type { HMSRoleName } from './types.js';

export type HMSPollState = 'created' | 'started' | 'stopped';
export type HMSPollUserTrackingMode = 'peerID' | 'customerID' | 'userName';
export enum HMSPollQuestionType {
  SINGLE_CHOICE = 'single-choice',
  MULTIPLE_CHOICE = 'multiple-choice',
  SHORT_ANSWER = 'short-answer',
  LONG_ANSWER = 'long-answer',
}
export interface HMSPoll {
  id: string;
  title: string;
  state?: HMSPollState;
  type: 'poll' | 'quiz';
  /** Seconds; without it the poll runs until it is stopped. */
  duration?: number;
  anonymous?: boolean;
  visibility?: boolean;
  locked?: boolean;
  mode?: HMSPollUserTrackingMode;
  createdBy?: string;
  startedBy?: string;
  stoppedBy?: string;
  createdAt?: Date;
  startedAt?: Date;
  stoppedAt?: Date;
  questions?: HMSPollQuestion[];
  rolesThatCanVote?: HMSRoleName[];
  rolesThatCanViewResponses?: HMSRoleName[];
  result?: { totalUsers?: number; maxUsers?: number; totalResponses?: number };
}
export interface HMSPollCreateParams extends Pick<HMSPoll, 'id' | 'title' | 'type' | 'duration' | 'anonymous' | 'visibility'
  | 'locked' | 'mode' | 'rolesThatCanVote' | 'rolesThatCanViewResponses'> {
  questions?: HMSPollQuestionCreateParams[];
}
export interface HMSPollQuestion {
  index: number;
  text: string;
  type: HMSPollQuestionType;
  skippable?: boolean;
  duration?: number;
  once?: boolean;
  weight?: number;
  options?: { index: number; text: string; weight?: number; voteCount?: number }[];
  answer?: HMSPollQuestionAnswer;
  responses?: HMSPollQuestionResponse[];
  result?: { correctResponses?: number; skippedCount?: number; totalResponses?: number };
}
export interface HMSPollQuestionCreateParams extends Pick<HMSPollQuestion, 'text' | 'skippable' | 'type' | 'answer'> {
  index?: number;
  options?: { text: string; weight?: number; isCorrectAnswer?: boolean }[];
  weight?: number;
}
export interface HMSPollQuestionAnswer {
  hidden: boolean;
  option?: number;
  options?: number[];
  text?: string;
  case?: boolean;
}
export interface HMSPollQuestionResponse {
  id?: string;
  questionIndex: number;
  peer?: HMSPollResponsePeerInfo;
  type?: HMSPollQuestionType;
  skipped?: boolean;
  option?: number;
  options?: number[];
  text?: string;
  /** Milliseconds that it took. */
  duration?: number;
  responseFinal?: boolean;
}
export type HMSPollQuestionResponseCreateParams = Omit<HMSPollQuestionResponse, 'type' | 'peer' | 'responseFinal'>;
export interface HMSPollResponsePeerInfo {
  userHash?: string;
  peerid?: string;
  userid?: string;
  username?: string;
}
export interface HMSQuizLeaderboardResponse {
  entries: {
    position: number; score: number; totalResponses: number; correctResponses: number; duration: number;
    peer: HMSPollResponsePeerInfo;
  }[];
  hasNext: boolean;
  summary?: { avgScore: number; avgTime: number; votedUsers: number; totalUsers: number; correctUsers: number };
}
