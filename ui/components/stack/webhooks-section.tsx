// Whether Contentstack tells us of changes: for each branch its webhook, when it last spoke, what never arrived, and whether a time
// in which it was silent has been caught up.
import type { WebhookHealth } from '../../../server/http/contract/webhooks.ts'
import { counted, Empty, Problem, Waiting } from '../basics.tsx'
import { type Column, Table } from '../list.tsx'
import { State, webhookLook } from '../state.tsx'
import { Time } from '../time.tsx'
import { useWebhooks } from './stack-view.tsx'

export function WebhooksSection() {
  const webhooks = useWebhooks()
  const items = webhooks.data?.items ?? []
  return (
    <section className="section" id="webhooks" aria-labelledby="webhooks-heading">
      <h2 id="webhooks-heading">Webhooks</h2>
      {webhooks.data ? (
        items.length > 0 ? (
          <Table label="Webhooks" rows={items} rowKey={webhook => webhook.branch} columns={columns} />
        ) : (
          <Empty action={null}>Contentstack does not tell of changes yet: the webhook is made once a token is in custody.</Empty>
        )
      ) : webhooks.error ? (
        <Problem error={webhooks.error} retry={() => void webhooks.refetch()} />
      ) : (
        <Waiting label="the webhooks" />
      )}
    </section>
  )
}

const columns: Column<WebhookHealth>[] = [
  { title: 'State', render: webhook => <State of={webhookLook(webhook)} /> },
  { title: 'Branch', render: webhook => webhook.branch },
  { title: 'Last delivery', render: webhook => (webhook.lastDeliveryAt === null ? 'None yet' : <Time at={webhook.lastDeliveryAt} />) },
  {
    title: 'Missed',
    render: webhook =>
      webhook.missed === 0 ? (
        'None'
      ) : (
        <>
          {counted(webhook.missed, 'delivery', 'deliveries')}
          <p className="meta">
            looked at <Time at={webhook.missedAt} />
          </p>
        </>
      )
  },
  { title: 'Last silence', render: webhook => <Silence of={webhook} /> }
]

function Silence({ of: { disabledAt, enabledAt, gap } }: { of: WebhookHealth }) {
  if (disabledAt === null) return 'None'
  return (
    <>
      <Time at={disabledAt} />
      {enabledAt === null ? ', not over yet' : null}
      {enabledAt === null ? null : (
        <p className="meta">
          enabled again <Time at={enabledAt} />
          {gap === null ? '' : `, ${gapWords[gap]}`}
        </p>
      )}
    </>
  )
}

const gapWords = { filling: 'the gap is being filled', filled: 'the gap is filled', failed: 'the gap could not be filled' } as const
