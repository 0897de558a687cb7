import tseslint from 'typescript-eslint';

const literalSpreads = [
  {
    selector: 'SpreadElement > ObjectExpression',
    message: 'Write the keys out: TypeScript does not check a spread literal for excess properties.',
  },
  { selector: 'SpreadElement > ArrayExpression', message: 'Write the elements out.' },
];

const noEnvironment = {
  'no-restricted-properties': [
    'error',
    { object: 'process', property: 'env', message: 'Only src/cli reads the environment.' },
    { object: 'process', property: 'argv', message: 'Only src/cli reads the command line.' },
    {
      object: 'Math',
      property: 'random',
      message: 'Use src/shared/random, because results must be reproducible.',
    },
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
      message: 'The result depends on the version of V8: use exactMath of src/shared/arithmetic.',
    })),
  ],
  'no-restricted-syntax': [
    'error',
    ...literalSpreads,
    {
      selector: "BinaryExpression[operator='**']:not([left.type='Literal'])",
      message:
        'Except for powers of a constant, the result depends on the version of V8: use exactMath.pow of src/shared/arithmetic.',
    },
  ],
};

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
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/unbound-method': 'off',
      // A type parameter used once gives a value of an untyped library its type in one place.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
    },
  },
  {
    files: ['**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', ...literalSpreads] },
  },
  {
    files: ['src/**/*.ts'],
    rules: { 'max-lines': ['error', 300], 'max-lines-per-function': ['error', 70] },
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
  {
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
