// Webhooks received from Contentstack: what came, when, and what was made of it.
import { Link } from 'react-router'
import type { Delivery } from '../../../server/http/contract/stack.ts'
import { consoleApi } from '../../api/console.ts'
import { Empty, Id } from '../../components/basics.tsx'
import { type Column, ListOf, useFilters } from '../../components/list.tsx'
import { deliveryStates, State } from '../../components/state.tsx'
import { Time } from '../../components/time.tsx'
import { PageHead } from '../frame.tsx'
import { ChoiceFilter, InstallationFilter } from './filters.tsx'
import { useList } from './use-list.ts'

const columns: Column<Delivery>[] = [
  { title: 'State', render: delivery => <State of={deliveryStates[delivery.status]} /> },
  { title: 'Event', render: delivery => `${delivery.module} ${delivery.event}` },
  {
    title: 'About',
    render: delivery => (
      <>
        {delivery.objectUid ? <Id value={delivery.objectUid} /> : '–'}
        <p className="meta">{[delivery.contentType, delivery.locale].filter(Boolean).join(' · ')}</p>
      </>
    )
  },
  { title: 'Stack', render: delivery => <Link to={`/installations/${delivery.installationId}`}>{delivery.stackName}</Link> },
  { title: 'What became of it', render: delivery => delivery.note },
  { title: 'Received', render: delivery => <Time at={delivery.receivedAt} /> },
  { title: 'Delivery', render: delivery => <Id value={delivery.id} /> }
]

export function DeliveriesPage() {
  const { values, set } = useFilters(['installation', 'status'])
  const query = useList('deliveries', consoleApi.deliveries, values, delivery => delivery.status === 'received')
  return (
    <>
      <PageHead title="Deliveries" />
      <div className="filters">
        <InstallationFilter value={values.installation} onValue={value => set('installation', value)} />
        <ChoiceFilter label="State" value={values.status} onValue={value => set('status', value)} words={deliveryStates} />
      </div>
      <ListOf
        label="Deliveries"
        waitingFor="deliveries"
        query={query}
        rowKey={delivery => delivery.id}
        columns={columns}
        empty={<Empty>When an entry changes in a connected stack, Contentstack tells Quayside by a webhook; each will stand here.</Empty>}
      />
    </>
  )
}
