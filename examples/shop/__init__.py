"""A small web shop to try PlanVault on: customers, products, orders, notifications, reports."""
