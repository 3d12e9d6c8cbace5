export * from './types/share.js';
