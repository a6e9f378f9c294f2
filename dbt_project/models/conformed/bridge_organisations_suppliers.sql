with

ledger_lines as (

    select * from {{ ref('stg_erp__ledger_lines') }}

),

card_transactions as (

    select * from {{ ref('stg_erp__card_transactions') }}

),

spellings as (

    select
        'invoice' as paid_by_code,
        supplier_id,
        supplier_name,
        count(*) as line_count,
        min(payment_date) as first_payment_date,
        max(payment_date) as last_payment_date
    from ledger_lines
    where not is_redacted
    group by supplier_id, supplier_name

    union all

    select
        'card' as paid_by_code,
        null as supplier_id,
        merchant_name as supplier_name,
        count(*) as line_count,
        min(payment_date) as first_payment_date,
        max(payment_date) as last_payment_date
    from card_transactions
    where not is_redacted
    group by merchant_name

),

normalised as (

    select
        *,
        coalesce(
            {{ normalised_organisation_name('supplier_name') }},
            upper(supplier_name),
            supplier_id
        ) as supplier_name_normalised
    from spellings
    where coalesce(supplier_id, supplier_name) is not null

),

-- the first name of a supplier number names the organisation, so that later payments do not change its key; without a
-- number, the spelling itself does
canonical as (

    select
        *,
        case
            when supplier_id is null then supplier_name_normalised
            else first_value(supplier_name_normalised) over (
                partition by supplier_id
                order by first_payment_date asc, supplier_name asc
            )
        end as organisation_name_normalised
    from normalised

),

final as (

    select
        {{ surrogate_key(['paid_by_code', 'supplier_id', 'supplier_name']) }} as supplier_spelling_key,
        {{ surrogate_key(['organisation_name_normalised']) }} as organisation_key,
        paid_by_code,
        supplier_id,
        supplier_name,
        supplier_name_normalised,
        organisation_name_normalised,
        line_count,
        first_payment_date,
        last_payment_date
    from canonical

)

select * from final
