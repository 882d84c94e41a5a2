// The running server as the command sees it: does it answer where it should listen, is it ours, did it start with the settings that
// stand here now, and does the public address lead to it.
import type { Config, Examined } from '../../config.ts'
import { isAppError } from '../../errors.ts'
import type { Check, Instance, ServerReport } from '../../http/contract/doctor.ts'
import { bad, few, ok, type Probe, skipped, spanOf, warn } from './check.ts'
import { differences } from './settings.ts'
import { isReached, reach } from './wire.ts'

/** GET at the operator's door of the server at `base`. Throws AppError: unauthorized for another key ring, upstream for no Quayside. */
export type AskOperator = <T>(base: string, path: string, signal: AbortSignal) => Promise<T>

/** The server's own looks take five seconds, and are asked for through these. */
const seconds = 8

const outsideMark = 'Run this with the key file of the server, on a machine whose clock is right.'
const insideNames = ['jobs', 'sealed secrets', 'tokens', 'content webhooks']

export function runningProbes(examined: Examined, ask: AskOperator): Probe[] {
  const { config, secrets } = examined
  const local = addressOf(config)
  const report = reporting(local, config.publicUrl ?? null, secrets.keyRing !== undefined, ask)
  return [
    { name: 'server', seconds, run: async signal => await server(examined, local, await report(signal), signal) },
    {
      name: 'public address',
      seconds,
      lateRemedy: 'Look at the proxy in front of the server; from inside some networks the public address is not reached at all.',
      run: async signal => await publicAddress(config.publicUrl, await report(signal), ask, signal)
    }
  ]
}

/** Where the server of these settings listens, as seen from this machine; null for a worker, or where nobody can know. */
function addressOf({ host, port, role }: Partial<Config>): string | null {
  if (host === undefined || port === undefined || port === 0 || role === 'worker') return null
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}`
}

type Reported = { report: ServerReport; from: string } | { refused: string } | 'unasked' | 'unreached'

/** Asked once, for both probes. Where nothing listens here, the server may run on another machine, behind the public address. */
function reporting(
  local: string | null,
  publicUrl: string | null,
  canMark: boolean,
  ask: AskOperator
): (signal: AbortSignal) => Promise<Reported> {
  let asked: Promise<Reported> | undefined
  const askAt = async (base: string, signal: AbortSignal): Promise<Reported> => {
    if (!isReached(await reach(`${base}/health/live`, { signal }))) return 'unreached'
    try {
      return { report: await ask<ServerReport>(base, '/doctor', signal), from: base }
    } catch (error) {
      return { refused: isAppError(error, 'unauthorized') ? 'mark' : isAppError(error) ? error.message : 'no answer.' }
    }
  }
  return signal => {
    asked ??= (async () => {
      if (!canMark) return 'unasked'
      const here = local === null ? 'unreached' : await askAt(local, signal)
      if (here !== 'unreached' || publicUrl === null || publicUrl === local) return here
      const there = await askAt(publicUrl, signal)
      return typeof there === 'object' && 'report' in there ? there : 'unreached'
    })()
    return asked
  }
}

async function server(examined: Examined, local: string | null, reported: Reported, signal: AbortSignal): Promise<Check[]> {
  if (typeof reported === 'object' && 'report' in reported) return [...serverRows(examined, local, reported), ...reported.report.checks]
  const unseen = insideNames.map(name => skipped(name, 'Only the running server can tell.'))
  if (local === null) return [skipped('server', 'Where it listens cannot be told from these settings.'), ...unseen]
  const outcome = await reach(`${local}/health/live`, { signal, body: true })
  if (!isReached(outcome)) {
    const remedy = 'Start it: npm start. If it runs on another machine, run this there.'
    return [bad('server', `No server answers at ${local}: ${outcome.why}.`, remedy), ...unseen]
  }
  if (!isLive(outcome.text)) {
    const remedy = 'End the program that took this port, or set QUAYSIDE_PORT to a free one.'
    return [bad('server', `What answers at ${local} is no Quayside: the port is taken.`, remedy), ...unseen]
  }
  if (typeof reported !== 'object')
    return [skipped('server', `Answers at ${local}, but without the key ring it cannot be asked.`, 'See the key file.'), ...unseen]
  if (reported.refused === 'mark')
    return [
      bad('server', `The server at ${local} does not take our mark: it has another key ring, or another time.`, outsideMark),
      ...unseen
    ]
  return [
    bad('server', `The server at ${local} answers, but did not report: ${reported.refused}`, 'Look at its log; is it of this release?'),
    ...unseen
  ]
}

function serverRows(
  { config, secrets }: Examined,
  local: string | null,
  { report, from }: { report: ServerReport; from: string }
): Check[] {
  const { startedAt, role, node, now, settings } = report
  const words = `up for ${spanOf(now - startedAt)}, role ${role}, Node ${node}`
  const elsewhere = local !== null && from !== local
  const up = elsewhere
    ? warn(
        'server',
        `Nothing listens at ${local}; the server behind ${from} reported (${words}).`,
        'If it runs on another machine, all is well.'
      )
    : ok('server', `${from}, ${words}`)
  const differing = differences(config, secrets, settings)
  const remedy = 'Start it again so that it reads them, or run this with its environment, in its directory.'
  if (differing === null)
    return [up, warn('server', `It started with the key ${settings.keyId}, which the key file does not hold.`, remedy)]
  return differing.length === 0 ? [up] : [up, warn('server', `It started with other settings than stand here: ${few(differing)}.`, remedy)]
}

async function publicAddress(url: string | undefined, reported: Reported, ask: AskOperator, signal: AbortSignal): Promise<Check[]> {
  const name = 'public address'
  if (url === undefined) return [skipped(name, 'It is not set; see settings.')]
  const outcome = await reach(`${url}/health/live`, { signal, body: true })
  if (!isReached(outcome)) {
    const remedy = `${outcome.remedy} From inside some networks the public address is not reached at all: try from outside too.`
    return [bad(name, `${url} is not reached: ${outcome.why}. Contentstack's webhooks and people's browsers go there.`, remedy)]
  }
  const { status } = outcome
  if (status >= 300 && status < 400)
    return [
      bad(
        name,
        `${url} redirects (status ${status}), which Contentstack's webhooks do not follow.`,
        'Correct QUAYSIDE_PUBLIC_URL, or the proxy.'
      )
    ]
  if (status >= 500)
    return [
      bad(name, `${url} answers ${status}: the proxy finds no server behind it.`, 'Start the server, or correct where the proxy leads.')
    ]
  if (!isLive(outcome.text))
    return [bad(name, `${url} leads to something that is no Quayside (status ${status}).`, 'Correct QUAYSIDE_PUBLIC_URL, or the proxy.')]
  const scheme = url.startsWith('https://') ? '' : '; http, which only development takes'
  if (reported === 'unasked')
    return [skipped(name, `${url} answers as a Quayside; whether it is this one cannot be asked without the key ring.`)]
  try {
    const there = await ask<Instance>(url, '/instance', signal)
    const here = typeof reported === 'object' && 'report' in reported ? reported.report.instance : null
    if (here === null) return [ok(name, `${url} leads to a Quayside with our key ring${scheme}`)]
    if (there.deployment === null || there.deployment !== here.deployment)
      return [
        bad(
          name,
          `${url} leads to another server, which has our key ring and another database.`,
          'Correct QUAYSIDE_PUBLIC_URL, or where the proxy leads.'
        )
      ]
    const which = there.id === here.id ? 'to this server' : 'to another process of this deployment'
    return [ok(name, `${url} leads ${which}${scheme}`)]
  } catch (error) {
    if (isAppError(error, 'unauthorized'))
      return [
        bad(
          name,
          `${url} leads to another server: it does not take the mark of our key ring.`,
          'Correct QUAYSIDE_PUBLIC_URL, or where the proxy leads.'
        )
      ]
    return [
      skipped(name, `${url} answers as a Quayside; the operator's door is shut there, so whether it is this one was not asked${scheme}.`)
    ]
  }
}

function isLive(text: string): boolean {
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null && 'status' in body && body.status === 'live'
  } catch {
    return false
  }
}
