with

source as (

    select * from {{ source('raw_procurement', 'apinvoice') }}

),

renamed as (

    select
        -- ids
        voucher_no as invoice_id,
        voucher_no::text as transaction_number,
        {{ clean_code('apar_id') }} as supplier_id,
        {{ clean_code('ext_inv_ref') }} as invoice_number,
        order_id,
        {{ clean_text('contract_ref') }} as contract_reference,

        -- numbers
        amount as net_amount_gbp,

        -- booleans
        dispute_flag = 'Y' as is_disputed,

        -- dates
        voucher_date as invoice_date,
        arrival_date as received_date,
        terms_date,
        due_date,
        pay_date as paid_date,
        last_update as updated_at

    from source

)

select * from renamed
