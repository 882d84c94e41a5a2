// Holds the house of the design to its plan: arrows only fall, no circles, no rooms without a name of their own, no long
// files, no stray process.env, every manifest location has its folder and every connector stands in the list.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { renderManifest } from '../manifest/manifest.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Top floor first. Rooms on one line do not import each other. */
const floors = [
  ['main', 'cli'],
  ['app'],
  ['http'],
  ['webhooks', 'gateway'],
  ['sync'],
  ['installations'],
  ['alerts'],
  ['identity', 'jobs'],
  ['audit'],
  ['vault'],
  ['database', 'contentstack', 'connectors'],
  ['errors', 'log']
]
const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map(room => [room, floor] as const)))

interface Arrow {
  from: string
  to: string
}

const files = ['server', 'ui', 'sandbox', 'manifest', 'examples', 'bench', 'test', 'scripts'].flatMap(sourceFiles)
const arrows = files.flatMap(arrowsOf)

it('sees the whole house', () => {
  expect(files.length).toBeGreaterThan(150)
  expect(arrows.length).toBeGreaterThan(400)
})

it('lets imports between the rooms of server/ only go down', () => {
  const wrong = arrows.filter(({ from, to }) => {
    if (!from.startsWith('server/') || !to.startsWith('server/')) return false
    const [above, below] = [roomOf(from), roomOf(to)]
    if (above === below) return false
    if (above === 'config') return !['contentstack', 'identity', 'vault', 'errors'].includes(below)
    if (below === 'config') return !['main', 'cli', 'app'].includes(above)
    return (floorOf.get(above) ?? Number.NaN) >= (floorOf.get(below) ?? Number.NaN) || !floorOf.has(above) || !floorOf.has(below)
  })
  expect(wrong).toEqual([])
})

it('has no circle of imports', () => {
  const next = Map.groupBy(arrows, arrow => arrow.from)
  const state = new Map<string, 'open' | 'done'>()
  const circles: string[][] = []
  const visit = (file: string, path: string[]): void => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      circles.push([...path.slice(path.indexOf(file)), file])
      return
    }
    state.set(file, 'open')
    for (const arrow of next.get(file) ?? []) visit(arrow.to, [...path, file])
    state.set(file, 'done')
  }
  for (const file of files) visit(file, [])
  expect(circles).toEqual([])
})

it('keeps the houses apart', () => {
  const forbidden: [from: RegExp, to: RegExp][] = [
    [/^sandbox\/(?!demo\/)/, /^(server|ui)\//],
    [/^sandbox\/demo\//, /^(server\/(?!http\/contract\/)|ui\/)/],
    [/^ui\//, /^(server\/(?!http\/contract\/)|sandbox\/|test\/|manifest\/)/],
    [/^server\//, /^(ui|sandbox|test|bench|manifest)\//],
    [/^manifest\//, /^(ui|sandbox|test|bench|server)\//],
    [/^server\/http\/contract\//, /^server\/(?!http\/contract\/)/],
    [/^server\/connectors\//, /^server\/(?!connectors\/|errors\.ts)/]
  ]
  const wrong = arrows.filter(({ from, to }) => forbidden.some(([above, below]) => above.test(from) && below.test(to)))
  expect(wrong).toEqual([])
})

it('reads the environment in main, cli and config only', () => {
  const readers = files.filter(
    file => /^(server|ui)\//.test(file) && !/^server\/(main|cli)\.ts$|^server\/cli\//.test(file) && /process\.env/.test(text(file))
  )
  expect(readers).toEqual([])
})

it('keeps every file under 400 lines', () => {
  const long = files.map(file => ({ file, lines: text(file).split('\n').length })).filter(({ lines }) => lines > 401)
  expect(long).toEqual([])
})

it('has no room without a name of its own', () => {
  expect(files.filter(file => /(^|\/)(utils?|helpers?|common|shared|misc|types|service|manager)(\.tsx?|\/)/.test(file))).toEqual([])
})

it('opens every file by saying why it exists', () => {
  const silent = files.filter(file => !/\.test\.tsx?$/.test(file) && !/^(#!.*\n)?(\/\/|\/\*)/.test(text(file)))
  expect(silent).toEqual([])
})

it('has a folder in ui/locations for every location of the manifest', () => {
  const manifest = renderManifest({ publicUrl: 'https://quayside.example', region: 'na', webhookSecret: 'not-a-real-secret-at-all' })
  const folders = readdirSync(join(root, 'ui/locations'), { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
  const paths = manifest.ui_location.locations.flatMap(location => location.meta.map(meta => meta.path))
  expect(paths.length).toBeGreaterThan(0)
  for (const path of paths)
    expect(folders, path).toContain(
      path
        .replace(/^\//, '')
        .replace(/^app-configuration$/, 'app-config')
        .replace(/^stack-dashboard$/, 'dashboard')
    )
})

it('lists every connector', () => {
  const list = text('server/connectors/index.ts')
  const found = readdirSync(join(root, 'server/connectors'), { withFileTypes: true })
    .map(entry => entry.name.replace(/\.ts$/, ''))
    .filter(name => name !== 'index' && name !== 'connector')
  expect(found.length).toBeGreaterThan(0)
  for (const name of found) expect(list).toContain(`./${name}`)
})

function sourceFiles(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.name.endsWith('.d.ts'))
    .map(entry => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
}

function arrowsOf(from: string): Arrow[] {
  const imports = text(from).matchAll(
    /^\s*(?:import|export)\b[^'"]*?from\s+'(\.[^']+)'|\bimport\(\s*'(\.[^']+)'\s*\)|^\s*import\s+'(\.[^']+)'/gm
  )
  return [...imports].map(match => ({
    from,
    to: normalize(join(dirname(from), match[1] ?? match[2] ?? match[3] ?? ''))
      .split(sep)
      .join('/')
  }))
}

function roomOf(file: string): string {
  return (file.split('/')[1] ?? '').replace(/\.ts$/, '')
}

function text(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}
