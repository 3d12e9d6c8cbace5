// Builds the module, the global script, the types and the asset that the Rust crate serves.
// `node build.mjs --out DIR` writes DIR/dist/* and DIR/client.js and leaves the tree alone.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';
import ts from 'typescript';

const root = dirname(fileURLToPath(import.meta.url));

/**
 * Turns `#name` into `__name`, which is then made short. ES2020 has no private fields, and esbuild would lower them to
 * WeakMaps: a third more bytes, and slower.
 */
const privateNames = {
  name: 'private-names',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true);
      const { transformed } = ts.transform(source, [
        (context) => (file) => {
          const visit = (node) =>
            ts.isPrivateIdentifier(node)
              ? ts.factory.createIdentifier(`__${node.text.slice(1)}`)
              : ts.visitEachChild(node, visit, context);
          return ts.visitNode(file, visit);
        },
      ]);
      return { contents: ts.createPrinter().printFile(transformed[0]), loader: 'ts' };
    });
  },
};

/** The client and its add-on lie beside each other, and neither holds a copy of the other. */
const beside = {
  name: 'beside',
  setup({ onResolve }) {
    const external = (name) => ({ path: `./${name}.js`, external: true });
    onResolve({ filter: /\/share\.js$/ }, () => external('share'));
    onResolve({ filter: /\/tricast\.js$/ }, ({ importer }) => (importer.endsWith('share.ts') ? external('tricast') : undefined));
  },
};

/** One module with what `entry` imports, in words as they stand in the sources. */
async function bundle(entry, options) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    write: false,
    bundle: true,
    minifySyntax: true,
    target: 'es2020',
    charset: 'utf8',
    plugins: [privateNames, beside],
    legalComments: 'none',
    external: ['react', 'tricast'],
    ...options,
  });
  return outputFiles[0].text;
}

/** The short names of properties, which the client and its add-ons have to agree on. */
let names;

/**
 * Makes it small. No part of the API, of the wire or of the platform begins with an underscore, so what does is the
 * client's own and may bear any name.
 */
async function shrink(text, outfile, module) {
  const nameCache = { props: names };
  const { code } = await minify(text, {
    module,
    ecma: 2020,
    nameCache,
    compress: { passes: 4, unsafe: true, unsafe_arrows: true, pure_getters: true, keep_fargs: false, hoist_funs: true, conditionals: false, lhs_constants: false, booleans: false },
    mangle: { properties: { regex: /^_/ } },
  });
  names = nameCache.props;
  mkdirSync(dirname(outfile), { recursive: true });
  writeFileSync(outfile, code);
}

function emitTypes(outDir) {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const run = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.types.json', '--outDir', outDir], {
    cwd: root,
    stdio: 'inherit',
  });
  if (run.status !== 0) process.exit(run.status ?? 1);
}

function outputs() {
  const at = process.argv.indexOf('--out');
  if (at < 0) return { dist: join(root, 'dist'), assets: join(root, '../crates/tricast/assets') };
  const out = process.argv[at + 1];
  if (!out) throw new Error('--out needs a folder');
  return { dist: resolve(out, 'dist'), assets: resolve(out) };
}

const { dist, assets } = outputs();
rmSync(dist, { recursive: true, force: true });
await shrink(await bundle('src/index.ts', { format: 'esm' }), join(dist, 'tricast.js'), true);
await shrink(await bundle('src/index.ts', { format: 'iife', globalName: 'tricast' }), join(dist, 'tricast.global.js'), false);
await shrink(await bundle('src/share.ts', { format: 'esm' }), join(dist, 'share.js'), true);
await shrink(await bundle('src/react.ts', { format: 'esm' }), join(dist, 'react.js'), true);
emitTypes(join(dist, 'types'));
for (const [name, entry] of [['tricast', 'index'], ['share', 'share'], ['react', 'react']]) {
  writeFileSync(join(dist, `${name}.d.ts`), `export * from './types/${entry}.js';\n`);
}
mkdirSync(assets, { recursive: true });
copyFileSync(join(dist, 'tricast.js'), join(assets, 'client.js'));
// There the client has another name.
const share = readFileSync(join(dist, 'share.js'), 'utf8');
writeFileSync(join(assets, 'share.js'), share.replace('./tricast.js', './client.js'));

for (const name of ['tricast.js', 'tricast.global.js', 'share.js', 'react.js']) {
  const bytes = readFileSync(join(dist, name));
  console.log(`${name}: ${bytes.length} bytes, ${gzipSync(bytes, { level: 9 }).length} gzipped`);
}
