/** Whether the tests are to take as long as they need: `npm run test:long`. */
export const IS_LONG = process.env['TIDEMARK_LONG'] === '1';
