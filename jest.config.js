// Jest runs the TypeScript sources as ES modules; swc only takes the types away. Node has to be started with
// --experimental-vm-modules: `./bimetal test` does that.
/** @type {import('jest').Config} */
export const testEnvironment = 'node';
export const extensionsToTreatAsEsm = ['.ts'];
export const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    {
      jsc: {
        parser: { syntax: 'typescript' },
        target: 'es2024',
        experimental: { keepImportAttributes: true },
      },
      module: { type: 'es6' },
      sourceMaps: 'inline',
    },
  ],
};
export const roots = [
  '<rootDir>/orchestrator',
  '<rootDir>/services',
  '<rootDir>/tests',
  '<rootDir>/contract/ts',
  '<rootDir>/tools',
];
export const testMatch = ['**/*.spec.ts'];
export const modulePathIgnorePatterns = ['<rootDir>/target', '<rootDir>/build', '<rootDir>/.bimetal'];
export const coverageProvider = 'v8';
export const testTimeout = 20_000;
