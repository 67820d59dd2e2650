import { expect, it } from '@jest/globals';
import { isBelowSecurityFloor } from './mongod-version.js';

it.each([
  ['6.0.5', true],
  ['7.0.27', true],
  ['7.0.28', false],
  ['7.3.4', true],
  ['8.0.16', true],
  ['8.0.17', false],
  ['8.1.9', true],
  ['8.2.2', true],
  ['8.2.3', false],
  ['8.3.0', false],
  ['9.0.0', false],
])('MongoDB %s is for loopback only: %s', (version, below) => {
  expect(isBelowSecurityFloor(version)).toBe(below);
});
