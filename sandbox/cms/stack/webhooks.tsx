// Where the stack's changes are sent: its own webhooks and those of its apps, whether the platform still trusts them, and what
// became of each delivery. The stack's are read from the CMA, an app's from Developer Hub (platform reference §5, §7.1).
import { useState } from 'react'
import type { Client } from '../client.ts'
import { useLoad, useSession } from '../cms-context.ts'
import type { InstalledApp } from '../host/place.ts'
import { Await, Empty, Failure, State, Time, Uid } from '../pieces/pieces.tsx'
import type { StackScope } from './shell.tsx'

interface Row {
  uid: string
  channel: string
  state: 'success' | 'pending' | 'failed'
  /** Of the last answer; null when there was none. */
  status: number | null
  retries: number
  at: string
}

interface Source {
  key: string
  title: string
  target: string
  channels: string[]
  disabled: boolean
  rows: () => Promise<Row[]>
  retry: (executionUid: string) => Promise<unknown>
}

const shown = 25

export function WebhooksPage({ scope: { stack, branch, apps } }: { scope: StackScope }) {
  const { client } = useSession()
  const [turn, setTurn] = useState(0)
  const sources = useLoad(`webhooks ${stack.api_key} ${turn}`, async () => {
    const lists = await Promise.all([...apps.map(app => sourcesOfApp(client, app)), sourcesOfStack(client, stack.api_key, branch)])
    return lists.flat()
  })
  return (
    <>
      <div className="heading">
        <h1>Webhooks</h1>
        <button type="button" onClick={() => setTurn(turn + 1)}>
          Refresh
        </button>
      </div>
      <Await of={sources}>
        {list => (
          <>
            {list.length === 0 ? <Empty>No webhook yet. An app brings its own when it is installed.</Empty> : null}
            {list.map(source => (
              <section key={source.key} className="panel">
                <div className="heading">
                  <h2>{source.title}</h2>
                  {source.disabled ? <State is="bad">unhealthy, switched off</State> : <State is="good">delivering</State>}
                </div>
                <p className="meta">
                  {source.channels.length} channels{source.target ? ` to ${source.target}` : ''}
                </p>
                <Executions key={`${source.key} ${turn}`} source={source} />
              </section>
            ))}
          </>
        )}
      </Await>
    </>
  )
}

async function sourcesOfStack(client: Client, apiKey: string, branch: string): Promise<Source[]> {
  interface Webhook {
    uid: string
    name: string
    destinations: { target_url: string }[]
    channels: string[]
    disabled: boolean
  }
  interface Execution {
    uid: string
    channel: string[]
    created_at: string
    retry_count: number
    status: number
    state?: Row['state']
  }
  const { webhooks } = await client.cma<{ webhooks: Webhook[] }>('GET', '/webhooks', apiKey, { branch })
  return webhooks.map(({ uid, name, destinations, channels, disabled }) => ({
    key: uid,
    title: name,
    target: destinations[0]?.target_url ?? '',
    channels,
    disabled,
    rows: async () => {
      const reply = await client.cma<{ webhooks: Execution[] }>('GET', `/webhooks/${uid}/executions`, apiKey)
      return reply.webhooks.map(one => ({
        uid: one.uid,
        channel: one.channel[0] ?? '',
        state: one.state ?? (one.status >= 200 && one.status < 300 ? 'success' : 'failed'),
        status: one.status || null,
        retries: one.retry_count,
        at: one.created_at
      }))
    },
    retry: executionUid => client.cma('POST', `/webhooks/${executionUid}/retry`, apiKey)
  }))
}

async function sourcesOfApp(client: Client, app: InstalledApp): Promise<Source[]> {
  interface Execution {
    uid: string
    channel: string
    createdAt: string
    retryCount: number
    status: Row['state']
    responses: { status: number | null }[]
  }
  const path = `/installations/${app.installationUid}`
  const { data } = await client.developerHub<{ data: { webhooks: { webhook_uid: string; channels: string[]; disabled?: boolean }[] } }>(
    'GET',
    path,
    app.organizationUid
  )
  return data.webhooks.map(webhook => {
    const executions = `${path}/webhooks/${webhook.webhook_uid}/executions`
    return {
      key: webhook.webhook_uid,
      title: `${app.name}, by its manifest`,
      target: '',
      channels: webhook.channels,
      disabled: webhook.disabled === true,
      rows: async () => {
        const reply = await client.developerHub<{ data: Execution[] }>('GET', executions, app.organizationUid)
        return reply.data.map(one => ({
          uid: one.uid,
          channel: one.channel,
          state: one.status,
          status: one.responses.at(-1)?.status ?? null,
          retries: one.retryCount,
          at: one.createdAt
        }))
      },
      retry: executionUid => client.developerHub('POST', `${executions}/${executionUid}/retry`, app.organizationUid)
    }
  })
}

function Executions({ source }: { source: Source }) {
  const [failure, setFailure] = useState<Error | null>(null)
  const executions = useLoad(source.key, source.rows)
  async function retry(uid: string): Promise<void> {
    try {
      await source.retry(uid)
      executions.reload()
    } catch (error) {
      setFailure(error as Error)
    }
  }
  return (
    <Await of={executions}>
      {rows =>
        rows.length === 0 ? (
          <Empty>Nothing was sent yet.</Empty>
        ) : (
          <>
            {failure ? <Failure error={failure} /> : null}
            <table>
              <thead>
                <tr>
                  <th scope="col">State</th>
                  <th scope="col">Event</th>
                  <th scope="col">Execution</th>
                  <th scope="col" className="number">
                    Retries
                  </th>
                  <th scope="col">When</th>
                  <th scope="col">
                    <span className="unseen">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.slice(0, shown).map(row => (
                  <tr key={row.uid}>
                    <td>
                      <Outcome row={row} />
                    </td>
                    <td>
                      <code>{row.channel}</code>
                    </td>
                    <td>
                      <Uid value={row.uid} />
                    </td>
                    <td className="number">{row.retries}</td>
                    <td>
                      <Time at={row.at} />
                    </td>
                    <td>
                      <button type="button" onClick={() => void retry(row.uid)}>
                        Send again
                      </button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            {rows.length > shown ? (
              <p className="meta">
                The newest {shown} of {rows.length}.
              </p>
            ) : null}
          </>
        )
      }
    </Await>
  )
}

function Outcome({ row: { state, status } }: { row: Row }) {
  const answered = status === null ? 'no answer' : String(status)
  if (state === 'success') return <State is="good">answered {answered}</State>
  return state === 'pending' ? <State is="wait">trying, last {answered}</State> : <State is="bad">failed, {answered}</State>
}
