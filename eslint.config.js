import tseslint from 'typescript-eslint';

/** Which rooms a room may import; see docs/architecture.md, "Rooms". */
const arrow = (files, forbidden, message) => ({
  files,
  rules: {
    'no-restricted-imports': ['error', { patterns: [{ group: forbidden, message }] }],
  },
});

const noEnvironment = {
  'no-restricted-properties': [
    'error',
    { object: 'process', property: 'env', message: 'Only src/cli reads the environment.' },
    { object: 'process', property: 'argv', message: 'Only src/cli reads the command line.' },
    { object: 'Math', property: 'random', message: 'Draw from src/shared/random: bits must repeat.' },
  ],
};

const inexact = [
  ...[
    'acos',
    'acosh',
    'asin',
    'asinh',
    'atan',
    'atan2',
    'atanh',
    'cbrt',
    'cos',
    'cosh',
    'exp',
    'expm1',
    'hypot',
  ],
  ...['log', 'log10', 'log1p', 'log2', 'pow', 'sin', 'sinh', 'tan', 'tanh'],
];
const exactArithmetic = {
  'no-restricted-properties': [
    'error',
    ...noEnvironment['no-restricted-properties'].slice(1),
    ...inexact.map((property) => ({
      object: 'Math',
      property,
      message: 'Its bits are up to V8: use exactMath of src/shared/arithmetic.',
    })),
  ],
  'no-restricted-syntax': [
    'error',
    {
      selector: "BinaryExpression[operator='**']:not([left.type='Literal'])",
      message:
        'Its bits are up to V8 (powers of a constant aside): use exactMath.pow of src/shared/arithmetic.',
    },
  ],
};

const tfjs = ['@tensorflow/*'];

export default tseslint.config(
  {
    ignores: [
      'native/**',
      'dist/**',
      'runs/**',
      'node_modules/**',
      'coverage/**',
      'vendor/**',
      'test/fixtures/**',
    ],
  },
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/unbound-method': 'off',
      // How a value of a foreign, untyped library gets its type in one place.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
    },
  },
  {
    files: [
      'src/shared/**/*.ts',
      'src/coordinator/**/*.ts',
      'src/worker/**/*.ts',
      'src/dashboard/**/*.ts',
      'src/tensorboard/**/*.ts',
    ],
    ignores: ['src/worker/random/math-random.ts'],
    rules: { ...noEnvironment, ...exactArithmetic },
  },
  arrow(
    ['src/shared/**/*.ts'],
    [...tfjs, '**/coordinator/**', '**/worker/**', '**/cli/**'],
    'src/shared stands below everything.',
  ),
  arrow(
    ['src/coordinator/**/*.ts'],
    [...tfjs, '**/worker/**', '**/cli/**', 'zeromq'],
    'The coordinator holds no tensors.',
  ),
  arrow(
    ['src/dashboard/*.ts'],
    [...tfjs, '**/coordinator/**', '**/worker/**', '**/cli/**', 'zeromq'],
    'The dashboard sees a run by its events alone.',
  ),
  arrow(
    ['src/tensorboard/*.ts'],
    [...tfjs, '**/coordinator/**', '**/worker/**', '**/cli/**', 'zeromq'],
    'An event file is made of events alone.',
  ),
  arrow(
    ['src/dashboard/page/**/*.ts'],
    ['node:*', 'zod', 'hono*', '**/coordinator/**', '**/worker/**', '**/cli/**'],
    'The page runs in a browser.',
  ),
  arrow(['src/worker/**/*.ts'], ['**/coordinator/**', '**/cli/**', 'zeromq'], 'Workers know shared alone.'),
  {
    files: ['src/shared/transport/zmq/**/*.ts'],
    rules: { 'no-restricted-imports': 'off' },
  },
  {
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
