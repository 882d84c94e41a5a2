// `quayside installations …`: what is installed where and whether its token is well; taking over what an earlier installation left; and
// a move to another server: export there, adopt here. Progress goes to stderr, so that stdout is the export and nothing else.
import type { Command } from 'commander'
import { AppError } from '../errors.ts'
import type { AdoptAnswer, ExportEnd, ExportHead, ExportPage, ImportAnswer } from '../http/contract/export.ts'
import type { Installation, Predecessor } from '../http/contract/stack.ts'
import { batchesOf, checkFile, wordsOf } from './export-file.ts'
import { createProgress } from './progress.ts'
import { askServer, print } from './server.ts'

export function installationCommands(program: Command): void {
  const installations = program.command('installations').description('what is installed where, and moving it')

  installations
    .command('list', { isDefault: true })
    .description('list the installations that this server serves')
    .option('--json', 'one JSON array')
    .action(async ({ json }: { json?: true }) => {
      const found = await askServer<Installation[]>('GET', '/installations')
      print(json === true, found, found.map(rowOf))
    })

  installations
    .command('show <id>')
    .description('one installation, and what earlier ones left for it')
    .option('--json', 'one JSON object')
    .action(async (id: string, { json }: { json?: true }) => {
      const installation = await askServer<Installation>('GET', routeOf(id))
      const predecessors = await askServer<Predecessor[]>('GET', `${routeOf(id)}/predecessors`)
      print(json === true, { installation, predecessors }, [rowOf(installation)])
      if (json === true || predecessors.length === 0) return
      process.stdout.write(`\nMay be taken over with quayside installations adopt ${id} --from …\n`)
      const rows = predecessors.map(({ installedAt, endedAt, ...rest }) => ({
        ...rest,
        installed: dayOf(installedAt),
        ended: dayOf(endedAt)
      }))
      print(false, predecessors, rows)
    })

  installations
    .command('export <id>')
    .description('write connections, syncs and links to stdout as JSON lines, without any secret')
    .action(exportAll)

  installations
    .command('adopt <id>')
    .description('take over what an earlier installation of the same stack left, from this database or from an exported file')
    .option('--from <installation>', 'the earlier installation, in the same database')
    .option('--file <file>', 'what quayside installations export wrote on another server')
    .option('--json', 'one JSON object')
    .action(async (id: string, { from, file, json }: { from?: string; file?: string; json?: true }, command: Command) => {
      if ((from === undefined) === (file === undefined)) command.error('error: name either --from <installation> or --file <file>')
      const taken = from === undefined ? await adoptFile(id, file ?? '') : await adoptFrom(id, from)
      if (json === true) return print(true, taken, [])
      process.stdout.write(`${id} has ${wordsOf(taken)} of ${from ?? file}. Its syncs are paused.\n`)
      process.stderr.write('Next: connect a token, give the connections their secrets again, resume the syncs.\n')
    })
}

type Counts = Omit<ExportEnd, 'kind'>

async function exportAll(id: string): Promise<void> {
  const progress = createProgress()
  // Whoever reads us may stop; the write's own callback says so.
  process.stdout.on('error', () => {})
  const counts: Counts = { connections: 0, syncs: 0, links: 0 }
  const head = await askServer<ExportHead>('POST', `${routeOf(id)}/export`)
  await write(head)
  for (let after: string | null = ''; after !== null; ) {
    const query: string = after === '' ? '' : `?${new URLSearchParams({ after })}`
    const page: ExportPage = await askServer<ExportPage>('GET', `${routeOf(id)}/export${query}`)
    for (const line of page.lines) {
      if (line.kind === 'connection') counts.connections++
      else if (line.kind === 'link') counts.links++
      else counts.syncs++
    }
    if (page.lines.length > 0) await write(...page.lines)
    progress.show(`${wordsOf(counts)} exported …`)
    after = page.next
  }
  await write({ kind: 'end', ...counts } satisfies ExportEnd)
  progress.end()
  process.stderr.write(`${wordsOf(counts)} exported. No secret is among them.\n`)
}

async function adoptFrom(id: string, from: string): Promise<Counts> {
  for (;;) {
    const { finished, ...counts } = await askServer<AdoptAnswer>('POST', `${routeOf(id)}/adopt`, { from })
    if (finished) return counts
    process.stderr.write(`taking over ${wordsOf(counts)} …\n`)
  }
}

async function adoptFile(id: string, path: string): Promise<Counts> {
  const file = await checkFile(path)
  const { head, counts } = file
  process.stderr.write(`${path} is whole: ${wordsOf(counts)}, exported ${new Date(head.exportedAt).toISOString()}\n`)
  const progress = createProgress()
  let [sent, added] = [0, 0]
  const lines = counts.connections + counts.syncs + counts.links
  for await (const batch of batchesOf(file)) {
    added += (await askServer<ImportAnswer>('POST', `${routeOf(id)}/import`, batch)).added
    sent += batch.lines.length
    progress.show(`${sent} of ${lines} lines sent …`)
  }
  progress.end()
  await askServer('POST', `${routeOf(id)}/import/end`, { head, counts })
  if (added < lines) process.stderr.write(`${lines - added} of ${lines} lines stood here already.\n`)
  return counts
}

/** Waits until it is taken, so that a slow reader does not fill our memory. */
async function write(...lines: object[]): Promise<void> {
  const text = lines.map(line => `${JSON.stringify(line)}\n`).join('')
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, cause => {
      if (!cause) resolve()
      else
        reject(
          new AppError('upstream', 'Nobody reads the export any more; it is not complete.', { cause, remedy: 'Export again into a file.' })
        )
    })
  })
}

function rowOf({ id, region, organizationName, stackName, status, token, hold }: Installation): Record<string, unknown> {
  return { id, region, organization: organizationName, stack: stackName, status, token: token?.status ?? 'none', hold: hold?.reason ?? '' }
}

const routeOf = (id: string) => `/installations/${encodeURIComponent(id)}`
const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10)
