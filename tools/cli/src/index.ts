export { Stack, type StackOptions, type StackProcess } from './up/stack.js';
