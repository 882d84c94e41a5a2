// The stack's webhooks: where they go, whether the platform still trusts them, and what became of each delivery.
import { useState } from 'react'
import { useLoad, useSession } from '../cms-context.ts'
import { Await, Empty, Failure, State, Time, Uid } from '../pieces/pieces.tsx'
import type { StackScope } from './shell.tsx'

interface Webhook {
  uid: string
  name: string
  destinations: { target_url: string }[]
  channels: string[]
  disabled: boolean
  consecutiveFailures?: number
}

interface Execution {
  uid: string
  channel?: string
  event?: string
  status?: string | number
  created_at?: string
  createdAt?: string
  retry_count?: number
  retryCount?: number
  response_details?: { status?: number }
  responses?: { status: number | null; error?: string }[]
}

export function WebhooksPage({ scope: { stack, branch } }: { scope: StackScope }) {
  const { client } = useSession()
  const webhooks = useLoad(`webhooks ${stack.api_key}`, () =>
    client.cma<{ webhooks: Webhook[] }>('GET', '/webhooks', stack.api_key, { branch })
  )
  return (
    <>
      <div className="heading">
        <h1>Webhooks</h1>
        <button type="button" onClick={webhooks.reload}>
          Refresh
        </button>
      </div>
      <Await of={webhooks}>
        {({ webhooks: list }) => (
          <>
            {list.length === 0 ? <Empty>No webhook yet. An app brings its own when it is installed.</Empty> : null}
            {list.map(webhook => (
              <section key={webhook.uid} className="panel">
                <div className="heading">
                  <h2>{webhook.name}</h2>
                  {webhook.disabled ? <State is="bad">unhealthy, switched off</State> : <State is="good">delivering</State>}
                </div>
                <p className="meta">
                  {webhook.channels.length} channels to <code>{webhook.destinations[0]?.target_url}</code>
                </p>
                <Executions apiKey={stack.api_key} webhookUid={webhook.uid} />
              </section>
            ))}
          </>
        )}
      </Await>
    </>
  )
}

function Executions({ apiKey, webhookUid }: { apiKey: string; webhookUid: string }) {
  const { client } = useSession()
  const [failure, setFailure] = useState<Error | null>(null)
  const executions = useLoad(webhookUid, () =>
    client.cma<{ webhooks?: Execution[]; executions?: Execution[] }>('GET', `/webhooks/${webhookUid}/executions`, apiKey)
  )
  async function retry(uid: string): Promise<void> {
    try {
      await client.cma('POST', `/webhooks/${uid}/retry`, apiKey)
      executions.reload()
    } catch (error) {
      setFailure(error as Error)
    }
  }
  return (
    <Await of={executions}>
      {reply => {
        const list = (reply.webhooks ?? reply.executions ?? []).slice(0, 25)
        if (list.length === 0) return <Empty>Nothing was sent yet.</Empty>
        return (
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
                {list.map(execution => (
                  <tr key={execution.uid}>
                    <td>
                      <Outcome execution={execution} />
                    </td>
                    <td>
                      <code>{execution.channel ?? execution.event}</code>
                    </td>
                    <td>
                      <Uid value={execution.uid} />
                    </td>
                    <td className="number">{execution.retry_count ?? execution.retryCount ?? 0}</td>
                    <td>
                      <Time at={execution.created_at ?? execution.createdAt} />
                    </td>
                    <td>
                      <button type="button" onClick={() => void retry(execution.uid)}>
                        Send again
                      </button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </>
        )
      }}
    </Await>
  )
}

function Outcome({ execution }: { execution: Execution }) {
  const answered = execution.response_details?.status ?? execution.responses?.at(-1)?.status ?? execution.status
  const words = answered === undefined || answered === null ? 'no answer' : String(answered)
  if (execution.status === 'success' || (typeof answered === 'number' && answered >= 200 && answered < 300))
    return <State is="good">{words}</State>
  if (execution.status === 'pending') return <State is="wait">waiting</State>
  return <State is="bad">{words}</State>
}
