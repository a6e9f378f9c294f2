with

usage__dim_information_assets as (

    select * from {{ ref('usage__dim_information_assets') }}

),

final as (

    select
        asset_name as "Asset",
        system_name as "System",
        system_description as "System description",
        asset_description as "Description",
        case location_kind
            when 'database' then 'Database'
            when 'files' then 'Files'
            when 'api' then 'Web service'
            when 'warehouse' then 'This warehouse'
        end as "Location",
        information_asset_owner as "Information asset owner",
        data_owner as "Data owner",
        case classification
            when 'identifier' then 'Identifies people'
            when 'special_category' then 'Special category'
            when 'personal' then 'Personal'
            when 'none' then 'Not about people'
        end as "Classification",
        (
            none_column_count + personal_column_count + special_category_column_count + identifier_column_count
        ) as "Columns",
        personal_column_count as "Personal columns",
        special_category_column_count as "Special category columns",
        identifier_column_count as "Identifier columns",
        purpose as "Purpose",
        lawful_basis as "Lawful basis",
        special_category_basis as "Special category basis",
        retention::interval::text as "Retention period",
        retained_from_column as "Retention counted from",
        sharing as "Shared with",
        report_readers as "Report readers",
        publish_sets as "Publish sets",
        load_mode as "Load mode",
        schedule as "Load schedule"
    from usage__dim_information_assets

)

select * from final
