import js from '@eslint/js';
import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/** `only` lists the files that may import the package; everything else is refused. */
const edge = (name, only) => ({ name, message: `Only ${only} may import ${name}.` });
const MONGODB = edge('mongodb', 'mongo-*.ts files and libs/mongo');
const AGENDA = edge('agenda', 'agenda.ts');
const OPOSSUM = edge('opossum', 'breaker.ts');

const restrict = (...paths) => ({ 'no-restricted-imports': ['error', { paths }] });

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '.nx/**', '.tidemark/**', 'libs/contracts/src/gen/**'] },
  js.configs.recommended,
  {
    files: ['**/*.mjs', '**/*.js'],
    languageOptions: {
      globals: Object.fromEntries(
        ['process', 'console', 'setTimeout', 'clearTimeout', 'URL', 'Buffer'].map((name) => [
          name,
          'readonly',
        ]),
      ),
    },
  },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { project: ['./tsconfig.check.json'], tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@nx': nx },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only main.ts reads the environment.' },
      ],
      ...restrict(MONGODB, AGENDA, OPOSSUM),
      '@nx/enforce-module-boundaries': [
        'error',
        {
          // The tests' databases belong to no package.
          allow: ['jest/(database|faulty-mongo|lossy-proxy|replica-set)\\.js$'],
          depConstraints: [
            { sourceTag: 'type:contracts', onlyDependOnLibsWithTags: [] },
            { sourceTag: 'type:model', onlyDependOnLibsWithTags: [] },
            { sourceTag: 'type:runtime', onlyDependOnLibsWithTags: ['type:model'] },
            { sourceTag: 'type:mongo', onlyDependOnLibsWithTags: ['type:model'] },
            { sourceTag: 'type:rpc', onlyDependOnLibsWithTags: ['type:contracts', 'type:model'] },
            {
              sourceTag: 'type:connector-kit',
              onlyDependOnLibsWithTags: ['type:model', 'type:runtime', 'type:rpc', 'type:contracts'],
            },
            {
              sourceTag: 'type:app',
              onlyDependOnLibsWithTags: [
                'type:contracts',
                'type:model',
                'type:rpc',
                'type:runtime',
                'type:mongo',
                'type:connector-kit',
              ],
            },
            {
              sourceTag: 'type:tool',
              onlyDependOnLibsWithTags: [
                'type:contracts',
                'type:model',
                'type:rpc',
                'type:runtime',
                'type:mongo',
                'type:connector-kit',
                'type:tool',
              ],
            },
          ],
        },
      ],
    },
  },
  {
    files: [
      '**/mongo-*.ts',
      'libs/mongo/**/*.ts',
      '**/*.mongo.spec.ts',
      '**/*.e2e.spec.ts',
      'tools/bench/**/*.ts',
    ],
    rules: restrict(AGENDA, OPOSSUM),
  },
  { files: ['**/agenda.ts'], rules: restrict(MONGODB, OPOSSUM) },
  { files: ['**/breaker.ts'], rules: restrict(MONGODB, AGENDA) },
  {
    files: ['**/main.ts', '**/*.spec.ts', 'jest/**', 'tools/**', 'examples/**'],
    rules: { 'no-restricted-properties': 'off' },
  },
);
