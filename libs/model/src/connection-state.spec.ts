import { describe, expect, test } from '@jest/globals';
import {
  CONNECTION_ADVICE,
  CONNECTION_TRANSITIONS,
  transitionsOf,
  type ConnectionEvent,
  type ConnectionState,
} from './connection-state.js';

const STATES: ConnectionState[] = ['ACTIVE', 'PAUSED', 'NEEDS_ATTENTION', 'DISABLED', 'DELETING'];
const EVENTS = Object.keys(CONNECTION_TRANSITIONS) as ConnectionEvent[];

describe('the states of a connection', () => {
  test.each(EVENTS)('%s leads to one state', (event) => {
    expect(new Set(Object.values(CONNECTION_TRANSITIONS[event]))).toEqual(new Set([transitionsOf(event).to]));
  });

  test('only a person starts a connection that stands, and nothing but its end follows a deletion', () => {
    for (const event of EVENTS) {
      const { from, to } = transitionsOf(event);
      if (to === 'ACTIVE') expect(['RESUME', 'UPDATE']).toContain(event);
      if (from.includes('DELETING')) expect([event, to]).toEqual(['DELETE', 'DELETING']);
    }
  });

  test('a source never changes what a person decided', () => {
    for (const event of ['CREDENTIALS_REJECTED', 'SOURCE_GONE'] as const)
      expect(transitionsOf(event).from).toEqual(['ACTIVE']);
  });

  test('whatever stands can be resumed and deleted, and says so', () => {
    for (const state of STATES) {
      const canResume = CONNECTION_TRANSITIONS.RESUME[state] === 'ACTIVE';
      expect(canResume).toBe(!['ACTIVE', 'DELETING'].includes(state));
      expect(CONNECTION_ADVICE[state] === '').toBe(state === 'ACTIVE');
      expect(CONNECTION_TRANSITIONS.DELETE[state]).toBe('DELETING');
    }
  });
});
