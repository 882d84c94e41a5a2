// `quayside audit …`: whether the audit trails hold, what stands in them, and how often secrets were opened. It asks the server for a
// stretch at a time, so that a long chain shows how far it is and a short memory is enough.
import type { Command } from 'commander'
import { type Anchor, type Compared, findingsOf, fold, readAnchors } from '../audit/anchors.ts'
import { AppError } from '../errors.ts'
import type { AskExport, Chain, ComparedAnchors, ExportPage, Finding, RevealCount, Stretch } from '../http/contract/audit.ts'
import { createProgress } from './progress.ts'
import { askServer, print } from './server.ts'
import { tableOf } from './table.ts'

export function auditCommands(program: Command): void {
  const audit = program.command('audit').description('the audit trails: who did what, and whether that still stands as it was written')

  audit
    .command('verify')
    .description('verify every chain, and compare it with the heads noted outside the database; exit 1 when something is wrong')
    .option('--anchors <file...>', 'also compare with the anchors in these files: JSON lines, saved logs as they are')
    .option('--json', 'one JSON object')
    .action(async ({ anchors = [], json }: { anchors?: string[]; json?: true }) => await verify(anchors, json === true))

  audit
    .command('export')
    .description('write the trails to stdout as JSON lines: events in order, then a line with the head and the counts of reveals')
    .option('--organization <id>', 'of this organization alone')
    .option('--since <time>', 'from this time on, ISO 8601', timeOf)
    .option('--until <time>', 'before this time, ISO 8601', timeOf)
    .action(async ({ organization, since, until }: { organization?: string; since?: number; until?: number }) => {
      const asked: AskExport = {
        ...(organization !== undefined && { organizationId: organization }),
        ...(since !== undefined && { since }),
        ...(until !== undefined && { until })
      }
      await exportTo(process.stdout, asked)
    })

  audit
    .command('reveals')
    .description('how often secrets were opened, by purpose and day (UTC)')
    .option('--organization <id>', 'of this organization alone')
    .option('--days <days>', 'as many days back', '30')
    .option('--json', 'one JSON array')
    .action(async ({ organization, days, json }: { organization?: string; days: string; json?: true }) => {
      const query = new URLSearchParams({ days, ...(organization !== undefined && { organization }) })
      const found = await askServer<RevealCount[]>('GET', `/audit/reveals?${query}`)
      const rows = found.map(({ organizationId, day, purpose, count }) => ({ organization: organizationId, day, purpose, count }))
      print(json === true, found, rows)
    })
}

interface Verified extends Chain {
  /** Anchors compared. */
  anchors: number
  findings: Finding[]
}

async function verify(files: string[], json: boolean): Promise<void> {
  const progress = createProgress()
  const chains = new Map<string, Verified>()
  const chainOf = (organizationId: string): Verified => {
    const known = chains.get(organizationId) ?? { organizationId, name: '(nothing is left)', events: 0, anchors: 0, findings: [] }
    chains.set(organizationId, known)
    return known
  }
  for (let after = ''; ; ) {
    const { chain } = await askServer<{ chain: Chain | null }>('GET', `/audit/chains?${new URLSearchParams({ after })}`)
    if (chain === null) break
    after = chain.organizationId
    chains.set(after, { ...chain, anchors: 0, findings: await walk(chain, progress) })
  }
  const { compared, own, unreadable } = await compareAll(files, progress)
  for (const result of compared.values()) {
    const chain = chainOf(result.organizationId)
    chain.anchors = result.compared
    // What the walk has named at a number needs no second word.
    chain.findings.push(...findingsOf(result).filter(({ seq }) => !chain.findings.some(found => found.seq === seq)))
  }
  progress.end()
  const all = [...chains.values()]
  const findings = all.flatMap(chain => chain.findings)
  const anchors = { file: own, compared: all.reduce((sum, chain) => sum + chain.anchors, 0), unreadable }
  const ok = findings.length === 0
  const rows = all.map(({ organizationId, name, events, anchors, findings }) => ({
    organization: organizationId,
    name,
    events,
    anchors,
    verdict: findings.length === 0 ? 'holds' : 'WRONG'
  }))
  print(json, { ok, organizations: all, anchors }, rows)
  if (!json && !ok) process.stdout.write(`\n${tableOf(findings.map(rowOf))}\n`)
  if (unreadable > 0) process.stderr.write(`${unreadable} lines of the anchors' files could not be read.\n`)
  if (anchors.compared === 0 && all.some(({ events }) => events > 0))
    process.stderr.write('No anchors were compared: a history that was cut at its end, or rewritten with the key, would not show.\n')
  if (!ok) process.exitCode = 1
}

async function walk({ organizationId, name, events }: Chain, progress: ReturnType<typeof createProgress>): Promise<Finding[]> {
  const findings: Finding[] = []
  for (let from: Stretch['place'] | undefined; ; ) {
    const stretch: Stretch = await askServer<Stretch>('POST', '/audit/stretch', { organizationId, ...(from && { from }) })
    findings.push(...stretch.findings)
    if (stretch.done || findings.length >= mostFindings) return findings
    from = stretch.place
    progress.show(`${name}: ${from.seq} of ${events} events`)
  }
}

const mostFindings = 20

function rowOf({ organizationId, seq, kind, eventId, at, text }: Finding) {
  return {
    organization: organizationId,
    number: seq,
    what: kind,
    event: eventId,
    when: at === null ? null : new Date(at).toISOString(),
    text
  }
}

/** As many as one request takes. */
const batch = 250

async function compareAll(files: string[], progress: ReturnType<typeof createProgress>) {
  const compared = new Map<string, Compared>()
  let unreadable = 0
  const take = async (asked: { from: number } | { anchors: Anchor[] }): Promise<ComparedAnchors> => {
    const answer = await askServer<ComparedAnchors>('POST', '/audit/anchors', asked)
    unreadable += answer.unreadable
    for (const result of answer.compared) {
      const before = compared.get(result.organizationId)
      compared.set(result.organizationId, before ? fold(before, result) : result)
    }
    return answer
  }
  let own: string | null = null
  for (let from: number | null = 0; from !== null; ) {
    const answer: ComparedAnchors = await take({ from })
    own = answer.file
    from = answer.next
    if (from !== null) progress.show(`anchors: ${from} bytes`)
  }
  for (const file of files) {
    let found = 0
    for (let from: number | null = 0; from !== null; ) {
      const piece: Awaited<ReturnType<typeof readAnchors>> = await readAnchors(file, from)
      unreadable += piece.unreadable
      found += piece.anchors.length
      for (let start = 0; start < piece.anchors.length; start += batch) await take({ anchors: piece.anchors.slice(start, start + batch) })
      from = piece.next
      if (from !== null) progress.show(`${file}: ${from} bytes`)
    }
    if (found === 0) {
      throw new AppError('invalid', `There is no anchor in ${file}.`, {
        remedy: 'Give the anchors’ file of this server, or its log: lines whose message is "audit anchor".'
      })
    }
  }
  return { compared, own, unreadable }
}

async function exportTo(out: NodeJS.WriteStream, asked: AskExport): Promise<void> {
  // Whoever reads may stop reading: `quayside audit export | head`.
  out.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  for (let place: ExportPage['next'] | undefined; place !== null && !out.destroyed; ) {
    const page: ExportPage = await askServer<ExportPage>('POST', '/audit/export', { ...asked, ...(place && { place }) })
    const text = page.lines.map(line => `${JSON.stringify(line)}\n`).join('')
    if (text !== '') await new Promise<void>(resolve => out.write(text, () => resolve()))
    place = page.next
  }
}

function timeOf(text: string): number {
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) {
    throw new AppError('invalid', `"${text}" is not a time.`, { remedy: 'Write it as 2026-11-23 or 2026-11-23T18:30:00Z.' })
  }
  return at
}
