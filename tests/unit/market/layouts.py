"""Tiny folders in the layouts of real exports, written by hand: a few people and orders, the traps of each layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.json as pj
import pyarrow.parquet as pq

SHOPIFY_HEADER = (
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,Shipping,"
    "Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name,"
    "Lineitem price,Lineitem compare at price,Lineitem sku,Lineitem requires shipping,Lineitem taxable,"
    "Lineitem fulfillment status,Billing Name,Billing Street,Billing Address1,Billing Address2,Billing Company,"
    "Billing City,Billing Zip,Billing Province,Billing Country,Billing Phone,Shipping Name,Shipping Street,"
    "Shipping Address1,Shipping Address2,Shipping Company,Shipping City,Shipping Zip,Shipping Province,"
    "Shipping Country,Shipping Phone,Notes,Note Attributes,Cancelled at,Payment Method,Payment Reference,"
    "Refunded Amount,Vendor,Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,Source,"
    "Lineitem discount,Tax 1 Name,Tax 1 Value,Tax 2 Name,Tax 2 Value,Tax 3 Name,Tax 3 Value,Tax 4 Name,Tax 4 Value,"
    "Tax 5 Name,Tax 5 Value,Phone,Receipt Number,Duties,Billing Province Name,Shipping Province Name,Payment ID,"
    "Payment Terms Name,Next Payment Due At,Payment References"
)
_ADA = {"Shipping Name": "Ada Lane", "Shipping Street": "1 High St., Flat 2", "Shipping City": "Leeds",
        "Shipping Zip": "'LS1 1AA", "Shipping Country": "GB", "Shipping Phone": "+44 113 496 0000"}  # fmt: skip
_SHOPIFY: list[dict[str, str]] = [
    {"Name": "#1001", "Email": "ada@example.com", "Financial Status": "paid", "Paid at": "2025-03-04 12:35:10 -0500",
     "Fulfillment Status": "fulfilled", "Currency": "USD", "Subtotal": "55.00", "Shipping": "5.00", "Taxes": "0.00",
     "Total": "60.00", "Discount Code": "SPRING", "Discount Amount": "5.00",
     "Created at": "2025-03-04 12:34:56 -0500", "Lineitem quantity": "2", "Lineitem name": "Mug - Blue",
     "Lineitem price": "15.00", "Lineitem compare at price": "18.00", "Lineitem sku": "MUG-B", "Vendor": "Kiln",
     "Lineitem discount": "0.00", "Source": "web", "Id": "9001", "Phone": "", **_ADA},
    {"Name": "#1001", "Email": "ada@example.com", "Created at": "2025-03-04 12:34:56 -0500", "Lineitem quantity": "1",
     "Lineitem name": "Tea, loose", "Lineitem price": "30.00", "Lineitem sku": "", "Vendor": "Leaf",
     "Lineitem discount": "0.00"},
    {"Name": "#1002", "Email": "Ada@Example.com ", "Financial Status": "partially_refunded",
     "Paid at": "2025-04-01 09:00:00 -0400", "Fulfillment Status": "unfulfilled", "Currency": "USD",
     "Subtotal": "27.00", "Shipping": "0.00", "Total": "27.00", "Discount Amount": "0.00",
     "Created at": "2025-04-01 09:00:00 -0400", "Lineitem quantity": "2", "Lineitem name": "Mug - Blue",
     "Lineitem price": "15.00", "Lineitem sku": "MUG-B", "Vendor": "Kiln", "Lineitem discount": "3.00",
     "Source": "web", "Id": "9002", **(_ADA | {"Shipping Street": "1 High St Flat 2"})},
    {"Name": "#1003", "Email": "", "Financial Status": "pending", "Currency": "USD", "Subtotal": "30.00",
     "Shipping": "0.00", "Total": "30.00", "Discount Amount": "0.00", "Created at": "2025-04-02 10:00:00 -0400",
     "Lineitem quantity": "1", "Lineitem name": "Tea, loose", "Lineitem price": "30.00", "Vendor": "Leaf",
     "Lineitem discount": "0.00", "Source": "pos", "Id": "9003", "Phone": "+1 555 0100"},
    {"Name": "#1004", "Email": "", "Financial Status": "voided", "Currency": "USD", "Subtotal": "15.00",
     "Shipping": "0.00", "Total": "15.00", "Discount Amount": "0.00", "Created at": "2025-04-02 11:00:00 -0400",
     "Cancelled at": "2025-04-02 12:00:00 -0400", "Lineitem quantity": "1", "Lineitem name": "Mug - Blue",
     "Lineitem price": "15.00", "Lineitem sku": "MUG-B", "Vendor": "Kiln", "Lineitem discount": "0.00",
     "Source": "pos", "Id": "9004"},
]  # fmt: skip
_PRODUCTS_EXPORT = (
    "Handle,Title,Vendor,Type,Variant SKU,Variant Price\n"
    "mug,Mug,Kiln,Kitchen,MUG-A,15.00\nmug,,,,MUG-B,15.00\ncard,Gift card,Kiln,Cards,,10.00\nbox,Box,Kiln,Cards,,9.00\n"
)

_OLIST = {
    "olist_orders_dataset": (
        "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,order_delivered_carrier_date,"
        "order_delivered_customer_date,order_estimated_delivery_date\n"
        "o1,c1,delivered,2018-01-05 10:00:00,2018-01-05 10:10:00,2018-01-06 09:00:00,2018-01-12 15:00:00,"
        "2018-01-30 00:00:00\n"
        "o2,c2,invoiced,2018-07-01 22:00:00,2018-07-02 09:00:00,,,2018-07-30 00:00:00\n"
        "o3,c3,canceled,2018-02-01 08:00:00,,,,2018-02-20 00:00:00\n"
    ),
    "olist_order_items_dataset": (
        "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value\n"
        "o1,1,p1,s1,2018-01-10 10:00:00,21.33,15.10\no1,2,p1,s1,2018-01-10 10:00:00,21.33,15.10\n"
        "o2,1,p1,s1,2018-07-05 10:00:00,20.00,10.00\no2,2,p2,s2,2018-07-05 10:00:00,50.00,0.00\n"
    ),
    "olist_customers_dataset": (
        "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state\n"
        "c1,u1,01310,sao paulo,SP\nc2,u1,01310,sao paulo,SP\nc3,u2,20040,rio de janeiro,RJ\n"
    ),
    "olist_order_payments_dataset": (
        "order_id,payment_sequential,payment_type,payment_installments,payment_value\n"
        "o1,1,credit_card,2,60.00\no1,2,voucher,1,12.86\no2,1,boleto,1,80.00\n"
    ),
    "olist_products_dataset": (
        "product_id,product_category_name,product_name_lenght,product_description_lenght,product_photos_qty,"
        "product_weight_g,product_length_cm,product_height_cm,product_width_cm\n"
        "p1,beleza_saude,40,287,1,225,16,10,14\np2,,44,276,1,1000,30,18,20\n"
    ),
    "olist_order_reviews_dataset": (
        "review_id,order_id,review_score,review_comment_title,review_comment_message,review_creation_date,"
        "review_answer_timestamp\n"
        'r1,o1,5,,"bom, e rapido",2018-01-13 00:00:00,2018-01-15 10:00:00\n'
        "r2,o3,1,,,2018-02-21 00:00:00,2018-02-22 10:00:00\n"
    ),
    "olist_sellers_dataset": (
        "seller_id,seller_zip_code_prefix,seller_city,seller_state\ns1,13023,campinas,SP\ns2,80010,curitiba,PR\n"
    ),
    "product_category_name_translation": (
        "product_category_name,product_category_name_english\nbeleza_saude,health_beauty\n"
    ),
}  # fmt: skip

_UCI = (
    "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
    "489434,85048,GLASS BALL LIGHTS,12,2009-12-01 07:45:00,6.95,13085.0,United Kingdom\n"
    "489434,79323P,PINK CHERRY LIGHTS,12,2009-12-01 07:45:00,6.75,13085.0,United Kingdom\n"
    "489434,79323P,PINK CHERRY LIGHTS,2,2009-12-01 07:45:00,6.75,13085.0,United Kingdom\n"
    "489434,POST,POSTAGE,1,2009-12-01 07:45:00,18.00,13085.0,United Kingdom\n"
    "489500,79323p,PINK CHERRY LIGHTS,4,2010-07-01 09:00:00,6.75,13085.0,United Kingdom\n"
    "489501,22041,RECORD FRAME,48,2010-07-01 10:00:00,2.10,,United Kingdom\n"
    "C489600,79323P,PINK CHERRY LIGHTS,-3,2010-07-02 09:00:00,6.75,13085.0,United Kingdom\n"
    "C489601,22041,RECORD FRAME,-1,2010-07-02 10:00:00,2.10,12680.0,France\n"
    "489700,22899,CHILDREN'S APRON,6,2010-08-01 12:50:00,2.10,12680.0,France\n"
    "489701,M,Manual,1,2010-08-01 13:00:00,2.10,12680.0,France\n"
)
_UCI_1 = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\r\n"
    "536365,85123a,HEART HOLDER £1,6,12/1/2010 8:26,2.55,17850,United Kingdom\r\n"
    "536365,POST,POSTAGE,1,12/1/2010 8:26,18.00,17850,United Kingdom\r\n"
    "536367,22960,JAM MAKING SET,6,2011-01-05 08:34:00,4.25,13047,United Kingdom\r\n"
    "C536379,85123A,HEART HOLDER,-1,1/6/2011 9:41,2.55,17850,United Kingdom\r\n"
    "536414,22139,,56,1/6/2011 11:52,0.00,,United Kingdom\r\n"
    "536500,22139,RETRO SPOT,five,1/6/2011 11:52,2.55,17850,United Kingdom\r\n"
    "536501,22139,RETRO SPOT,5,13/40/2011 11:52,2.55,17850,United Kingdom\r\n"
)


def _event(name: str, micros: int, who: str, **more: Any) -> dict[str, Any]:
    return {
        "event_date": "20210131", "event_timestamp": str(micros), "event_name": name,
        "event_params": [
            {"key": "page_location", "value": {"string_value": "https://shop.example/", "int_value": None}},
            {"key": "ga_session_id", "value": {"string_value": None, "int_value": "77"}},
        ],
        "user_id": more.pop("user_id", None), "user_pseudo_id": who, "user_first_touch_timestamp": "1612000000000000",
        "device": {"category": "mobile", "language": "en"}, "geo": {"country": "Canada", "city": "Ottawa"},
        "traffic_source": {"name": "(direct)", "medium": "organic", "source": "google"}, "platform": "WEB",
        "ecommerce": more.pop("ecommerce", {"transaction_id": None, "purchase_revenue_in_usd": None,
                                            "refund_value_in_usd": None, "shipping_value_in_usd": None}),
        "items": more.pop("items", []),
    }  # fmt: skip


def _item(item_id: str, price: float, quantity: int | None, category: str = "Apparel") -> dict[str, Any]:
    return {
        "item_id": item_id, "item_name": f"Item {item_id}", "item_brand": "(not set)", "item_variant": "Blue",
        "item_category": category, "item_category2": None, "item_category3": None, "price_in_usd": price,
        "quantity": quantity and str(quantity), "item_revenue_in_usd": quantity and price * quantity,
    }  # fmt: skip


def _sale(transaction: str, revenue: float | None, refund: float | None = None) -> dict[str, Any]:
    return {"transaction_id": transaction, "purchase_revenue_in_usd": revenue, "refund_value_in_usd": refund,
            "shipping_value_in_usd": None}  # fmt: skip


_DAY = 86_400_000_000
_START = 1_612_069_510_766_593
_GA4 = [
    [
        _event("session_start", _START, "web.1"),
        _event("view_item", _START + 1, "web.1", items=[_item("A1", 25.0, None)]),
        _event("view_item", _START + 1, "web.1", items=[_item("A2", 9.5, None, "(not set)")]),
        _event("add_to_cart", _START + 2, "web.1", items=[_item("A1", 25.0, 2)]),
        _event("purchase", _START + 3, "web.1", user_id="ada", ecommerce=_sale("T1", 59.5),
               items=[_item("A1", 25.0, 2), _item("A2", 9.5, 1)]),
        _event("purchase", _START + 4, "web.1", user_id="ada", ecommerce=_sale("T1", 59.5),
               items=[_item("A1", 25.0, 2), _item("A2", 9.5, 1)]),
    ],
    [
        _event("purchase", _START + _DAY, "web.2", ecommerce=_sale("T2", 25.0), items=[_item("A1", 25.0, 1)]),
        _event("refund", _START + 2 * _DAY, "web.2", ecommerce=_sale("T2", None, 25.0)),
        _event("purchase", _START + 2 * _DAY, "web.2", ecommerce=_sale("(not set)", 3.0), items=[_item("A1", 3.0, 1)]),
        _event("view_search_results", _START + 3 * _DAY, "web.2"),
    ],
]  # fmt: skip


def write_layout(name: str, folder: Path) -> Path:
    """Write the layout of a shipped mapping, or `ga4 as Parquet`; give the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "shopify":
        header = SHOPIFY_HEADER.split(",")
        rows = [",".join(f'"{row[name]}"' if row.get(name) else "" for name in header) for row in _SHOPIFY]
        (folder / "orders_export_1.csv").write_text("\n".join([SHOPIFY_HEADER, *rows[:3]]) + "\n")
        (folder / "orders_export_2.csv").write_text("\n".join([SHOPIFY_HEADER, *rows[3:]]) + "\n")
        (folder / "products_export.csv").write_text(_PRODUCTS_EXPORT)
    elif name == "olist":
        for table, text in _OLIST.items():
            (folder / f"{table}.csv").write_text(text)
    elif name == "uci_online_retail":
        (folder / "online_retail_II.csv").write_text(_UCI)
    elif name == "uci_online_retail_1":
        (folder / "data.csv").write_bytes(_UCI_1.encode("latin-1"))
    else:
        for day, events in enumerate(_GA4):
            path = folder / f"events_2021013{day}.jsonl"
            path.write_text("".join(json.dumps(event) + "\n" for event in events))
            if name == "ga4 as Parquet":
                pq.write_table(pj.read_json(path), path.with_suffix(".parquet"))
                path.unlink()
    return folder
